//! The rows of the table, in groups that can be run alone.

mod build;
mod herd;
mod hits;
pub(crate) mod memory;
mod miss;
mod redis;
mod stale;

use std::ops::Range;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

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

    /// All but the clean builds, which take minutes. Memory is last among those in memory: it is measured in other processes.
    pub(crate) const BY_DEFAULT: [Self; 8] =
        [Self::Hits, Self::Million, Self::Memory, Self::Redis, Self::Miss, Self::Herd, Self::Stale, Self::Crates];

    pub(crate) fn measure(self, table: &mut Table) {
        match self {
            Self::Hits => hits::hot(table),
            Self::Million => hits::million(table),
            Self::Memory => memory::measure(table),
            Self::Redis => redis::measure(table),
            Self::Miss => miss::measure(table),
            Self::Herd => herd::measure(table),
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

/// Calls once for each id, in so many tasks of which each makes one call after the other. Until all are answered.
async fn all_of<F>(ids: Range<u64>, tasks: u64, call: impl Fn(u64) -> F + Clone + Send + 'static) -> Duration
where
    F: Future<Output = ()> + Send,
{
    let begun = Instant::now();
    let tasks: Vec<_> = (0..tasks)
        .map(|task| {
            let (call, ids) = (call.clone(), ids.clone());
            tokio::spawn(async move {
                for id in ids.skip(task as usize).step_by(tasks as usize) {
                    call(id).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    begun.elapsed()
}
