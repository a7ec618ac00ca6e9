//! The entries that a message is about.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::entry::Entry;
use crate::entry::drops::KeptEntry;
use crate::primitives::identity_hash::AlreadyHashed;
use crate::primitives::sync::{LockExt as _, Mutex, MutexGuard};

const SHARDS: usize = 64;

/// Entries by the id that messages carry. The versions of a function share one id for the same arguments.
#[derive(Debug)]
pub(crate) struct EntriesById {
    shards: Box<[Mutex<Shard>]>,
}

type Shard = HashMap<u64, SmallVec<[KeptEntry; 1]>, AlreadyHashed>;

impl EntriesById {
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    pub(crate) fn add(&self, entry: &Arc<Entry>) {
        let id = entry.meta.key.id();
        self.shard(id).entry(id).or_default().push(entry.clone().into());
    }

    /// Removes only this very entry: another one may have taken its place under the same key.
    pub(crate) fn remove(&self, entry: &Arc<Entry>) {
        let id = entry.meta.key.id();
        let mut shard = self.shard(id);
        if let Some(entries) = shard.get_mut(&id) {
            entries.retain(|other| !other.iter().any(|other| Arc::ptr_eq(other, entry)));
            if entries.is_empty() {
                shard.remove(&id);
            }
        }
    }

    pub(crate) fn with_id(&self, id: u64) -> Vec<KeptEntry> {
        self.shard(id).get(&id).map(|entries| entries.to_vec()).unwrap_or_default()
    }

    fn shard(&self, id: u64) -> MutexGuard<'_, Shard> {
        self.shards[(id >> 32) as usize % SHARDS].lock_unpoisoned()
    }

    #[cfg(test)]
    pub(crate) fn all(&self) -> Vec<Arc<Entry>> {
        let entries = |shard: &Mutex<Shard>| -> Vec<_> {
            shard.lock_unpoisoned().values().flatten().filter_map(|kept| (**kept).clone()).collect()
        };
        self.shards.iter().flat_map(entries).collect()
    }
}
