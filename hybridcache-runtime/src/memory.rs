//! The memory tier: moka for bounds and eviction, and a register by which messages from other processes find entries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use moka::notification::RemovalCause;
use moka::sync::Cache;

use crate::entry::Entry;
use crate::function::{AlreadyHashed, Key, Lookup};
use crate::stats::count;

/// How much a cache object keeps in memory, over all functions together.
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
    /// At most this many entries. Must be at least 1.
    pub const fn entries(entries: u64) -> Self {
        Self { bound: Bound::Entries(entries) }
    }

    /// At most this many bytes: of values (as `weigh` says, else their encoded length, else `size_of`), of keys, and
    /// 400 bytes for the bookkeeping of each entry. Must be at least 1.
    pub const fn bytes(bytes: u64) -> Self {
        Self { bound: Bound::Bytes(bytes) }
    }
}

/// The entries of one cache object.
#[derive(Debug)]
pub(crate) struct MemoryTier {
    store: Cache<Arc<Key>, Arc<Entry>, AlreadyHashed>,
    held: Option<Arc<Held>>,
}

impl MemoryTier {
    /// `shared`: whether other processes will send messages about entries.
    pub(crate) fn new(memory: Memory, shared: bool) -> Self {
        let held = shared.then(|| Arc::new(Held::new()));
        let register = held.clone();
        let builder = Cache::builder().eviction_listener(move |_: Arc<Arc<Key>>, entry: Arc<Entry>, cause| {
            removed(&entry, cause);
            if let Some(held) = &register {
                held.remove(&entry);
            }
        });
        let builder = match memory.bound {
            Bound::Entries(entries) => builder.max_capacity(entries),
            Bound::Bytes(bytes) => builder.max_capacity(bytes).weigher(|_, entry: &Arc<Entry>| entry.meta.weight),
        };
        Self { store: builder.build_with_hasher(AlreadyHashed::default()), held }
    }

    pub(crate) fn find(&self, lookup: &Lookup<'_>) -> Option<Arc<Entry>> {
        self.store.get(lookup)
    }

    pub(crate) fn find_key(&self, key: &Arc<Key>) -> Option<Arc<Entry>> {
        self.store.get(key)
    }

    pub(crate) fn insert(&self, entry: Arc<Entry>) {
        if let Some(held) = &self.held {
            held.add(entry.clone());
        }
        self.store.insert(entry.meta.key.clone(), entry);
    }

    pub(crate) fn remove(&self, key: &Arc<Key>) {
        if let Some(entry) = self.store.remove(key) {
            entry.meta.kill();
        }
    }

    /// The entries that messages call by this id: all versions of a function's entry.
    pub(crate) fn with_id(&self, id: u64) -> Vec<Arc<Entry>> {
        self.held.as_ref().map(|held| held.with_id(id)).unwrap_or_default()
    }

    pub(crate) fn entry_count(&self) -> u64 {
        self.store.run_pending_tasks();
        self.store.entry_count()
    }
}

/// Whatever still refers to the entry must not serve it.
fn removed(entry: &Entry, cause: RemovalCause) {
    entry.meta.kill();
    if cause == RemovalCause::Size {
        count(&entry.meta.key.function.counters.evictions);
    }
}

const SHARDS: usize = 64;

type Shard = Mutex<HashMap<u64, Vec<Arc<Entry>>, AlreadyHashed>>;

/// Entries by the id that messages carry.
#[derive(Debug)]
struct Held {
    shards: Box<[Shard]>,
}

impl Held {
    fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    fn add(&self, entry: Arc<Entry>) {
        let id = entry.meta.key.id();
        self.shard(id).lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default().push(entry);
    }

    /// Only this very entry: another may have taken its place under the same key.
    fn remove(&self, entry: &Arc<Entry>) {
        let id = entry.meta.key.id();
        let mut shard = self.shard(id).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entries) = shard.get_mut(&id) {
            entries.retain(|other| !Arc::ptr_eq(other, entry));
            if entries.is_empty() {
                shard.remove(&id);
            }
        }
    }

    fn with_id(&self, id: u64) -> Vec<Arc<Entry>> {
        self.shard(id).lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned().unwrap_or_default()
    }

    fn shard(&self, id: u64) -> &Shard {
        &self.shards[(id >> 32) as usize % SHARDS]
    }
}
