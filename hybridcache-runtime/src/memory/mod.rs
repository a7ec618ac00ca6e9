//! The memory tier: an index that answers reads without a lock, and a policy, which decides what is evicted.
//!
//! Every change is made under one lock, in which the index, the policy and the entries by id agree exactly. A hit takes
//! no lock: it counts two bits in its entry. Why this is correct: ARCHITECTURE.md, "Memory".

mod bound;
mod clock;
mod entries_by_id;
mod index;
#[cfg(test)]
pub(crate) mod model;
#[cfg(feature = "moka")]
mod moka;
pub(crate) mod policy;
mod ring;
mod sketch;
#[cfg(all(test, not(shuttle)))]
mod tests;

use std::sync::Arc;

pub(crate) use bound::{Bound, Scale};

use crate::entry::drops::{Deferral, KeptEntry};
use crate::entry::{Entry, Meta};
use crate::function::call_key::{Lookup, PlainKey};
use crate::observe::{EventKind, EvictionCause};
use crate::primitives::sync::{LockExt as _, Mutex};
use crate::primitives::thread_slot::ThreadSlot;
use entries_by_id::EntriesById;
use index::{Index, Pinned};
use policy::{Keeper, Policy};

/// The bound of a cache's memory, over all functions together.
///
/// The bound holds at any time. In a full memory, entries are evicted by how recently they were read and by how often
/// their key was requested ([`Policy`]); a new entry may be evicted soon if it is requested less often than the entries
/// there. Beside what is in memory there can be a few entries for each thread that were just removed and are not freed
/// yet.
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
    policy: Policy,
}

impl Memory {
    /// At most this many entries, of any size. At least 1: with 0, [`build`](crate::Builder::build) returns an error
    /// whose [`is_config`](crate::Error::is_config) is true. There is no cache without memory.
    ///
    /// Responses of the HTTP layer count as one entry for each KiB or part of it, because clients choose their number
    /// and size: under the default of 100,000 entries they take at most 100 MiB, and less if functions have entries
    /// too.
    pub const fn entries(entries: u64) -> Self {
        Self { bound: Bound::Entries(entries), policy: Policy::Clock }
    }

    /// At most this many bytes: of values, of keys longer than 22 bytes, and 200 bytes for the bookkeeping of each entry
    /// (30 more with Redis, and 280 more under `Policy::Moka`). A value counts as `weigh` says, else its encoded length,
    /// or its `size_of` and the length of a `String`, `Arc<str>`, `Vec<u8>` or `Arc<[u8]>`, if that is more. If values
    /// are weighed right, the memory of the process grows by this bound, give or take 15 %. At least 1: with 0,
    /// `build` returns an error, as for [`entries`](Self::entries). A value that is larger than the bound is returned to
    /// its callers and not kept.
    pub const fn bytes(bytes: u64) -> Self {
        Self { bound: Bound::Bytes(bytes), policy: Policy::Clock }
    }

    /// Which entries are evicted when memory is full: [`Policy::Clock`] by default.
    #[must_use]
    pub const fn policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }
}

/// The entries of one cache object.
#[derive(Debug)]
pub(crate) struct MemoryTier {
    index: Index,
    /// A thread that changes the index holds this lock. The order of locks: a key's stripe of flights, then this one.
    bookkeeping: Mutex<Bookkeeping>,
}

/// What agrees with the index whenever nobody holds the lock.
#[derive(Debug)]
struct Bookkeeping {
    scale: Scale,
    policy: Keeper,
    /// `None` if no other process sends messages.
    by_id: Option<EntriesById>,
}

impl MemoryTier {
    /// `shared`: whether other processes will send messages about entries.
    pub(crate) fn new(memory: Memory, shared: bool) -> Self {
        let Memory { bound, policy } = memory;
        let by_id = shared.then(EntriesById::new);
        let of_ids = if shared { entries_by_id::BYTES_PER_ENTRY } else { 0 };
        let scale = Scale { bound, bookkeeping: Keeper::bytes_per_entry(policy) + of_ids };
        let policy = Keeper::new(policy, scale);
        Self { index: Index::new(), bookkeeping: Mutex::new(Bookkeeping { scale, policy, by_id }) }
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

    /// Counts a hit, for the statistics and for the policy.
    #[inline]
    pub(crate) fn count_hit(meta: &Meta) {
        meta.key.function.events.counters.hit(ThreadSlot::mine());
        meta.visit();
    }

    /// Puts an entry into memory, in place of the one with the same hash, and evicts entries for which there is no more
    /// room. (Not inlined: `benches/instructions` counts it.)
    #[inline(never)]
    pub(crate) fn insert(&self, entry: Arc<Entry>) {
        self.change(|bookkeeping, entries| bookkeeping.insert(entry, entries));
    }

    pub(crate) fn remove(&self, key: &PlainKey) {
        self.change(|bookkeeping, entries| bookkeeping.remove(key.hash(), entries));
    }

    /// The entries that have this id in messages: all versions of a function's entry.
    pub(crate) fn with_id(&self, id: u64) -> Vec<KeptEntry> {
        // Looking at entries can free some that were removed before.
        let _values = Deferral::begin();
        let bookkeeping = self.bookkeeping.lock_unpoisoned();
        let Some(by_id) = &bookkeeping.by_id else { return Vec::new() };
        let entries = self.index.pin();
        by_id.with_id(id).filter_map(|hash| entries.get(hash)).map(|entry| entry.clone().into()).collect()
    }

    /// The first entry of all that `is_meant` accepts.
    #[cfg(feature = "inspector")]
    pub(crate) fn find_by(&self, is_meant: impl Fn(&Entry) -> bool) -> Option<Arc<Entry>> {
        self.index.find_by(is_meant)
    }

    pub(crate) fn entry_count(&self) -> u64 {
        self.index.len() as u64
    }

    /// Changes memory under its lock. Values are dropped when the lock is free again: a user's `Drop` may call this cache.
    fn change(&self, change: impl FnOnce(&mut Bookkeeping, &Pinned<'_>)) {
        let _values = Deferral::begin();
        let mut bookkeeping = self.bookkeeping.lock_unpoisoned();
        let entries = self.index.pin();
        change(&mut bookkeeping, &entries);
        bookkeeping.evict(&entries);
        drop(bookkeeping);
    }
}

impl Bookkeeping {
    fn insert(&mut self, entry: Arc<Entry>, entries: &Pinned<'_>) {
        let key = &entry.meta.key;
        let hash = key.hash();
        if self.scale.weight_of(&entry) > self.scale.room() {
            // Other entries keep their room.
            entry.meta.kill();
            count_eviction(&entry);
            return self.remove(hash, entries);
        }
        let replaced = entries.get(hash);
        if let Some(by_id) = &mut self.by_id
            && replaced.is_none_or(|replaced| replaced.meta.key != *key)
        {
            replaced.iter().for_each(|replaced| by_id.remove(replaced.meta.key.id(), hash));
            by_id.add(key.id(), hash);
        }
        self.policy.insert(&entry, replaced.map(|replaced| &**replaced));
        entries.insert(entry);
    }

    /// Evicts the entries for which there is no room.
    fn evict(&mut self, entries: &Pinned<'_>) {
        while let Some(hash) = self.policy.excess(entries) {
            if let Some(evicted) = self.forget(hash, entries) {
                count_eviction(evicted);
            }
        }
    }

    fn remove(&mut self, hash: u64, entries: &Pinned<'_>) {
        if let Some(entry) = entries.get(hash) {
            self.policy.remove(entry, entries);
            self.forget(hash, entries);
        }
    }

    /// Removes an entry that the policy does not have any more.
    fn forget<'a>(&mut self, hash: u64, entries: &'a Pinned<'_>) -> Option<&'a Arc<Entry>> {
        let removed = entries.remove(hash)?;
        if let Some(by_id) = &mut self.by_id {
            by_id.remove(removed.meta.key.id(), hash);
        }
        Some(removed)
    }
}

/// The callers hold locks, under which no observer may run.
fn count_eviction(entry: &Entry) {
    let key = &entry.meta.key;
    key.function.events.happened_under_lock(key, EventKind::Evicted { cause: EvictionCause::Size });
}
