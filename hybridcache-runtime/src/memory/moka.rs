//! The `moka` crate as a policy. It has hashes and weights, and no entries.
//!
//! moka's own read costs more than the rest of a hit, so a hit does not call it. It is notified of the reads of an entry
//! when it wants to evict that entry: then the entry is put in again. (Simulated on the traces of `hit_ratio`, moka
//! without this second chance loses up to 6 percentage points.)

use std::fmt;
use std::sync::{Arc, Mutex};

use moka::notification::RemovalCause;
use moka::sync::Cache;

use super::bound::Scale;
use super::index::Pinned;
use crate::entry::Entry;
use crate::primitives::identity_hash::AlreadyHashed;
use crate::primitives::sync::LockExt as _;

/// How many entries get a second chance for one entry that is stored. It takes moka thousands of instructions.
const SECOND_CHANCES: usize = 16;

pub(super) struct MokaPolicy {
    scale: Scale,
    weights: Cache<u64, u32, AlreadyHashed>,
    /// The hashes that moka has evicted and the index still has. moka calls its listener on the thread that calls moka.
    evicted: Arc<Mutex<Vec<u64>>>,
}

impl MokaPolicy {
    pub(super) fn new(scale: Scale) -> Self {
        let evicted: Arc<Mutex<Vec<u64>>> = Arc::default();
        let listening = evicted.clone();
        let weights = Cache::builder()
            .max_capacity(scale.room())
            .weigher(|_, weight| *weight)
            .eviction_listener(move |hash: Arc<u64>, _, cause| {
                if cause == RemovalCause::Size {
                    listening.lock_unpoisoned().push(*hash);
                }
            })
            .build_with_hasher(AlreadyHashed::default());
        Self { scale, weights, evicted }
    }

    pub(super) fn insert(&mut self, entry: &Entry, replaced: Option<&Entry>) {
        // moka estimates a key's worth by how often it was requested, and this request was a miss.
        self.weights.get(&entry.meta.key.hash());
        if let Some(replaced) = replaced {
            entry.meta.succeed(&replaced.meta);
        }
        self.put(entry);
    }

    pub(super) fn remove(&mut self, entry: &Entry) {
        self.weights.invalidate(&entry.meta.key.hash());
        self.weights.run_pending_tasks();
    }

    pub(super) fn excess(&mut self, entries: &Pinned<'_>) -> Option<u64> {
        for _ in 0..SECOND_CHANCES {
            let entry = entries.get(self.next_evicted()?)?;
            let visits = entry.meta.take_visits();
            if visits == 0 {
                return Some(entry.meta.key.hash());
            }
            for _ in 0..visits {
                self.weights.get(&entry.meta.key.hash());
            }
            self.put(entry);
        }
        self.next_evicted()
    }

    fn next_evicted(&self) -> Option<u64> {
        let next = self.evicted.lock_unpoisoned().pop();
        next.or_else(|| {
            // moka decides here what it evicts.
            self.weights.run_pending_tasks();
            self.evicted.lock_unpoisoned().pop()
        })
    }

    fn put(&self, entry: &Entry) {
        let weight = u32::try_from(self.scale.weight_of(entry)).unwrap_or(u32::MAX);
        self.weights.insert(entry.meta.key.hash(), weight);
    }

    #[cfg(test)]
    pub(super) fn weight(&self) -> u64 {
        self.weights.weighted_size()
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = u64> {
        self.weights.iter().map(|(hash, _)| *hash)
    }
}

impl fmt::Debug for MokaPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MokaPolicy").field("scale", &self.scale).finish_non_exhaustive()
    }
}
