//! The memory tier: an index that answers reads, and moka, which decides what is evicted.
//!
//! moka's own read costs more than the rest of a hit, so a hit does not call it. moka has the hashes of keys and the
//! weights of their entries. It is notified of reads when something is loaded, and it announces evictions by its
//! listener. Why this is correct: ARCHITECTURE.md, "In front of moka".

mod entries_by_id;
mod index;
#[cfg(test)]
pub(crate) mod model;
pub(crate) mod reads;
#[cfg(all(test, not(shuttle)))]
mod tests;

use std::sync::Arc;

use moka::notification::RemovalCause;
#[cfg(not(all(test, shuttle)))]
use moka::sync::Cache;

use crate::entry::Entry;
use crate::entry::drops::{Deferral, KeptEntry};
use crate::function::call_key::{Lookup, PlainKey};
use crate::observe::{EventKind, EvictionCause};
use crate::primitives::identity_hash::AlreadyHashed;
use crate::primitives::thread_slot::ThreadSlot;
#[cfg(all(test, shuttle))]
use crate::tests::schedules::moka::Cache;
use index::Index;
use reads::Reads;

/// The bound of a cache's memory, over all functions together.
///
/// The bound can be exceeded by a few hundred entries: those that were just stored and are not weighed yet, and those
/// that were just removed and are not freed yet. `moka` decides which entries are evicted, by how often and how
/// recently they were read (Einziger, Friedman and Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", 2017).
/// In a full memory a new entry may be evicted at once if it is requested less often than the entries there.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// use hybridcache::Memory;
/// let by_number = Memory::entries(100_000);
/// let by_size = Memory::bytes(512 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    pub(crate) bound: Bound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Entries(u64),
    Bytes(u64),
}

impl Memory {
    /// At most this many entries, of any size. At least 1: with 0, [`build`](crate::Builder::build) returns an error
    /// whose [`is_config`](crate::Error::is_config) is true. There is no cache without memory.
    ///
    /// Responses of the HTTP layer count as one entry for each KiB or part of it, because clients choose their number
    /// and size: under the default of 100,000 entries they take at most 100 MiB, and less if functions have entries
    /// too.
    pub const fn entries(entries: u64) -> Self {
        Self { bound: Bound::Entries(entries) }
    }

    /// At most this many bytes: of values (as `weigh` says, else their encoded length, else `size_of`), of keys, and
    /// 400 bytes for the bookkeeping of each entry. At least 1: with 0, `build` returns an error, as for
    /// [`entries`](Self::entries). A value that is larger than the bound is returned to its callers and not kept.
    pub const fn bytes(bytes: u64) -> Self {
        Self { bound: Bound::Bytes(bytes) }
    }
}

/// The number of bytes that count as one entry, for entries whose size clients choose, where memory is bounded by the
/// number of entries.
const PLACE: u32 = 1 << 10;

/// From this size an entry whose size clients choose is weighed at once.
const LARGE: u32 = 64 << 10;

/// The entries of one cache object.
#[derive(Debug)]
pub(crate) struct MemoryTier {
    index: Arc<Index>,
    /// The weight of each entry, by the hash of its key.
    bounds: Cache<u64, u32, AlreadyHashed>,
    is_weighed: bool,
    reads: Reads,
}

impl MemoryTier {
    /// `shared`: whether other processes will send messages about entries.
    pub(crate) fn new(memory: Memory, shared: bool) -> Self {
        let index = Arc::new(Index::new(shared));
        let listening = index.clone();
        let builder = Cache::builder().eviction_listener(move |hash, _, cause| given_up(&listening, *hash, cause));
        let builder = match memory.bound {
            Bound::Entries(most) | Bound::Bytes(most) => builder.max_capacity(most),
        };
        let builder = builder.weigher(|_, weight| *weight);
        let bounds = builder.build_with_hasher(AlreadyHashed::default());
        Self { index, bounds, is_weighed: matches!(memory.bound, Bound::Bytes(_)), reads: Reads::default() }
    }

    /// Calls `read` with the entry of a key.
    #[inline]
    pub(crate) fn look<R>(&self, lookup: &Lookup<'_>, read: impl FnOnce(&Arc<Entry>) -> R) -> Option<R> {
        self.index.look(lookup.hash(), |entry| entry.meta.key.is(lookup).then(|| read(entry))).flatten()
    }

    pub(crate) fn find(&self, key: &PlainKey) -> Option<Arc<Entry>> {
        self.visit(key, Arc::clone)
    }

    /// Calls `see` with the entry of a key, without a reference to keep: for callers that must not be the ones to drop
    /// it.
    pub(crate) fn visit<R>(&self, key: &PlainKey, see: impl FnOnce(&Arc<Entry>) -> R) -> Option<R> {
        self.index.look(key.hash(), |entry| (entry.meta.key == *key).then(|| see(entry))).flatten()
    }

    /// Counts a hit, and records it for moka.
    #[inline]
    pub(crate) fn count_hit(&self, key: &PlainKey) {
        let stripe = ThreadSlot::mine();
        key.function.events.counters.hit(stripe);
        self.reads.hit(stripe, key.hash());
    }

    /// Records a hit for moka that is counted elsewhere.
    pub(crate) fn note_read(&self, key: &PlainKey) {
        self.reads.hit(ThreadSlot::mine(), key.hash());
    }

    /// A key is about to be loaded. moka must be notified of that once: it estimates a key's worth by how often it was
    /// requested.
    pub(crate) fn missed(&self, key: &PlainKey) {
        // moka calls its listener under a lock of its own; the same holds below.
        let _values = Deferral::begin();
        let is_told = self.reads.tell(|hash| {
            self.bounds.get(&hash);
        });
        if is_told {
            self.bounds.get(&key.hash());
        }
    }

    pub(crate) fn insert(&self, entry: Arc<Entry>) {
        let _values = Deferral::begin();
        let (hash, weight) = (entry.meta.key.hash(), self.weight(&entry));
        // The index comes first. If moka evicted the entry before it was in the index, it would stay there for ever.
        let is_large = entry.meta.key.function.is_by_size() && entry.meta.weight >= LARGE;
        self.index.insert(entry);
        self.bounds.insert(hash, weight);
        if is_large {
            // Otherwise hundreds of large entries could wait to be weighed.
            self.bounds.run_pending_tasks();
        }
    }

    pub(crate) fn remove(&self, key: &PlainKey) {
        let _values = Deferral::begin();
        let removed = self.index.remove(key.hash());
        if removed.iter().flat_map(|removed| removed.iter()).any(|entry| self.is_weighed || self.weight(entry) > 1) {
            // moka subtracts the weight of the latest entry even if it has not added it yet, and its count would be
            // wrong.
            self.bounds.run_pending_tasks();
        }
        self.bounds.invalidate(&key.hash());
    }

    /// The weight of an entry for moka: bytes, or places.
    fn weight(&self, entry: &Entry) -> u32 {
        match &entry.meta {
            meta if self.is_weighed => meta.weight,
            meta if meta.key.function.is_by_size() => meta.weight.div_ceil(PLACE).max(1),
            _ => 1,
        }
    }

    /// The entries that have this id in messages: all versions of a function's entry.
    pub(crate) fn with_id(&self, id: u64) -> Vec<KeptEntry> {
        self.index.with_id(id)
    }

    pub(crate) fn entry_count(&self) -> u64 {
        let _values = Deferral::begin();
        self.bounds.run_pending_tasks();
        self.index.len() as u64
    }
}

/// moka has evicted a key.
fn given_up(index: &Index, hash: u64, cause: RemovalCause) {
    if cause == RemovalCause::Replaced {
        return;
    }
    if let Some(entry) = index.remove(hash).as_ref().and_then(|removed| removed.as_ref())
        && cause == RemovalCause::Size
    {
        // Only counted: moka calls this under a lock of its own, where no observer may run.
        entry.meta.key.function.events.counters.count(&EventKind::Evicted { cause: EvictionCause::Size });
    }
}
