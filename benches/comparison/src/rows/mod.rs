//! The rows of the table, in groups that can be run alone.

mod build;
mod herd;
mod hits;
pub(crate) mod memory;
mod miss;
mod redis;
mod server;
mod shared;
mod stale;
mod traffic;

use std::cell::LazyCell;
use std::str::FromStr;
use std::sync::LazyLock;

use hybridcache_test_support::RedisServer;
use tokio::runtime::{Builder, Runtime};

use crate::table::Table;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Group {
    Hits,
    Million,
    Memory,
    Redis,
    Miss,
    Herd,
    Stale,
    Crates,
    Build,
}

/// What loads, refreshes and everything with Redis run on. The clients' connections live on it, so there is one.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

impl Group {
    const ALL: [(&str, Self); 9] = [
        ("hits", Self::Hits),
        ("million", Self::Million),
        ("memory", Self::Memory),
        ("redis", Self::Redis),
        ("miss", Self::Miss),
        ("herd", Self::Herd),
        ("stale", Self::Stale),
        ("crates", Self::Crates),
        ("build", Self::Build),
    ];

    /// All but the clean builds, which take minutes.
    pub(crate) const BY_DEFAULT: [Self; 8] =
        [Self::Hits, Self::Million, Self::Memory, Self::Redis, Self::Miss, Self::Herd, Self::Stale, Self::Crates];

    pub(crate) fn measure(self, table: &mut Table, server: &LazyCell<RedisServer>) {
        match self {
            Self::Hits => hits::hot(table),
            Self::Million => hits::million(table),
            Self::Memory => memory::measure(table),
            Self::Redis => redis::measure(table, server),
            Self::Miss => miss::measure(table, server),
            Self::Herd => herd::measure(table, server),
            Self::Stale => stale::measure(table),
            Self::Crates => build::crates(table),
            Self::Build => build::times(table),
        }
    }
}

impl FromStr for Group {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(name, _)| *name == word);
        found.map(|(_, group)| *group).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|(name, _)| *name).collect();
            format!("`{word}` is no group of rows: expected some of {}", names.join(", "))
        })
    }
}

/// Once, before anything is called.
pub(crate) fn install() {
    RUNTIME.block_on(crate::peers::ours::install());
}
