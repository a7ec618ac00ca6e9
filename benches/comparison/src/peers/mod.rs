//! Who is compared, each in the way its documentation shows, with what it offers for speed, and with bounded memory.

pub(crate) mod amalgam;
pub(crate) mod by_hand;
pub(crate) mod cached;
pub(crate) mod hitbox;
pub(crate) mod moka;
pub(crate) mod multi_tier;
pub(crate) mod ours;
pub(crate) mod quick;

use std::fmt;
use std::time::Duration;

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Hybridcache,
    Cached,
    Moka,
    MokaFuture,
    QuickCache,
    Hitbox,
    Amalgam,
    MultiTier,
    ByHand,
    ByHandWithMoka,
}

/// So many entries fit where ten thousand are hot, or a thousand are loaded in each round.
pub(crate) const ENTRIES: usize = 100_000;

/// So many fit where there are a million: those with shards need some room, since keys do not fill these evenly.
pub(crate) const MANY_ENTRIES: usize = 1_200_000;

pub(crate) const TTL: Duration = Duration::from_secs(3_600);

impl Peer {
    pub(crate) const ALL: [Self; 10] = [
        Self::Hybridcache,
        Self::Cached,
        Self::Moka,
        Self::MokaFuture,
        Self::QuickCache,
        Self::Hitbox,
        Self::Amalgam,
        Self::MultiTier,
        Self::ByHand,
        Self::ByHandWithMoka,
    ];
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hybridcache => "**hybridcache**",
            Self::Cached => "`cached`",
            Self::Moka => "`moka::sync`",
            Self::MokaFuture => "`moka::future`",
            Self::QuickCache => "`quick_cache`",
            Self::Hitbox => "`hitbox`",
            Self::Amalgam => "`amalgam-cache`",
            Self::MultiTier => "`multi-tier-cache`",
            Self::ByHand => "by hand",
            Self::ByHandWithMoka => "by hand with `moka`",
        })
    }
}
