//! How memory decides what is evicted.

use super::bound::Scale;
use super::clock::ClockPolicy;
use super::index::Pinned;
#[cfg(feature = "moka")]
use super::moka::MokaPolicy;
use crate::entry::Entry;

/// Which entries are evicted when memory is full.
///
/// The policy changes neither what a hit costs nor what a call returns. Both policies admit a new entry by the estimated
/// number of requests for its key (Einziger, Friedman and Manes, "TinyLFU: A Highly Efficient Cache Admission Policy",
/// 2017).
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// use hybridcache::{Memory, Policy};
/// assert_eq!(Memory::entries(100_000), Memory::entries(100_000).policy(Policy::Clock));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// The default. A ring with a hand: an entry that was read since the hand passed it stays for another turn (CLOCK,
    /// Corbató, "A Paging Experiment with the Multics System", 1968). New entries pass through a queue of 1 % of the
    /// room. Bookkeeping takes 16 to 32 bytes for each entry.
    #[default]
    Clock,
    /// The `moka` crate: least recently used, without a queue for new entries. An entry that moka would evict, and that
    /// was read since moka was last notified of a read, is put in again as the most recent one. Bookkeeping takes
    /// about 300 bytes for each entry, and storing an entry takes several times as long as with
    /// [`Clock`](Self::Clock).
    #[cfg(feature = "moka")]
    #[cfg_attr(docsrs, doc(cfg(feature = "moka")))]
    Moka,
}

/// The state of a policy, which agrees with the index whenever memory's lock is free. A policy has hashes of keys; the
/// index alone has entries.
#[derive(Debug)]
pub(super) enum Keeper {
    Clock(ClockPolicy),
    #[cfg(feature = "moka")]
    Moka(MokaPolicy),
}

impl Keeper {
    /// The bytes that a policy takes for each entry beside those that every entry counts.
    pub(super) fn bytes_per_entry(policy: Policy) -> u32 {
        match policy {
            Policy::Clock => 0,
            #[cfg(feature = "moka")]
            Policy::Moka => 280,
        }
    }

    pub(super) fn new(policy: Policy, scale: Scale) -> Self {
        match policy {
            Policy::Clock => Self::Clock(ClockPolicy::new(scale)),
            #[cfg(feature = "moka")]
            Policy::Moka => Self::Moka(MokaPolicy::new(scale)),
        }
    }

    /// The entry is about to be stored, in place of the one that has the same hash.
    pub(super) fn insert(&mut self, entry: &Entry, replaced: Option<&Entry>) {
        match self {
            Self::Clock(clock) => clock.insert(entry, replaced),
            #[cfg(feature = "moka")]
            Self::Moka(moka) => moka.insert(entry, replaced),
        }
    }

    /// The entry is about to be removed.
    pub(super) fn remove(&mut self, entry: &Entry, entries: &Pinned<'_>) {
        match self {
            Self::Clock(clock) => clock.remove(entry, entries),
            #[cfg(feature = "moka")]
            Self::Moka(moka) => moka.remove(entry),
        }
    }

    /// The hash of an entry for which there is no room. The policy has forgotten it. `None`: there is room for all.
    pub(super) fn excess(&mut self, entries: &Pinned<'_>) -> Option<u64> {
        match self {
            Self::Clock(clock) => clock.excess(entries),
            #[cfg(feature = "moka")]
            Self::Moka(moka) => moka.excess(entries),
        }
    }
}
