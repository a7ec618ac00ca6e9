//! The entry of each key: read by every hit, without a lock.

use std::sync::Arc;

use papaya::{HashMap, HashMapRef, LocalGuard, ResizeMode};
use seize::Collector;

use crate::entry::drops::KeptEntry;
use crate::entry::{Entry, Meta};
use crate::primitives::identity_hash::AlreadyHashed;

/// How many removed entries a thread may keep before it frees them. A reader may still be copying the value of such an
/// entry, so it cannot be freed at its removal.
pub(crate) const KEPT_BY_A_THREAD: usize = 8;

/// How many slots of a table a write copies to the next table, while there are two. Entries that are removed meanwhile
/// are freed only after the old table is, so that must happen soon: papaya's default of 64 would keep an entry for each
/// 64 slots.
const COPIED_BY_A_WRITE: usize = 4096;

/// Entries by the hash of their key: of two keys with the same hash, the later one. (The hash is seeded, so that no
/// user can construct two such keys.) An entry that is no longer in the index is dead.
#[derive(Debug)]
pub(crate) struct Index {
    entries: HashMap<u64, KeptEntry, AlreadyHashed>,
}

impl Index {
    pub(crate) fn new() -> Self {
        let collector = Collector::new().batch_size(KEPT_BY_A_THREAD);
        let resize = ResizeMode::Incremental(COPIED_BY_A_WRITE);
        let entries =
            HashMap::builder().hasher(AlreadyHashed::default()).collector(collector).resize_mode(resize).build();
        Self { entries }
    }

    #[inline]
    pub(crate) fn look<R>(&self, hash: u64, read: impl FnOnce(&Arc<Entry>) -> R) -> Option<R> {
        match self.entries.pin().get(&hash).map(|kept| &**kept) {
            Some(Some(entry)) => Some(read(entry)),
            _ => None,
        }
    }

    /// For the holder of memory's lock, who looks at several entries or changes the index. What is removed meanwhile is
    /// not freed before the result is dropped.
    pub(crate) fn pin(&self) -> Pinned<'_> {
        Pinned { entries: self.entries.pin() }
    }

    #[cfg(feature = "inspector")]
    pub(crate) fn find_by(&self, is_meant: impl Fn(&Entry) -> bool) -> Option<Arc<Entry>> {
        let entries = self.entries.pin();
        entries.values().filter_map(|kept| kept.as_ref()).find(|entry| is_meant(entry)).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    #[cfg(test)]
    pub(crate) fn all(&self) -> Vec<Arc<Entry>> {
        self.entries.pin().values().filter_map(|kept| (**kept).clone()).collect()
    }
}

pub(crate) struct Pinned<'a> {
    entries: HashMapRef<'a, u64, KeptEntry, AlreadyHashed, LocalGuard<'a>>,
}

impl Pinned<'_> {
    pub(crate) fn get(&self, hash: u64) -> Option<&Arc<Entry>> {
        self.entries.get(&hash).and_then(|kept| kept.as_ref())
    }

    /// The replaced entry dies once the new one can be found.
    pub(crate) fn insert(&self, entry: Arc<Entry>) {
        entered(&entry.meta);
        let replaced = self.entries.insert(entry.meta.key.hash(), entry.into());
        for entry in replaced.iter().flat_map(|kept| kept.iter()) {
            entry.meta.kill();
            left(&entry.meta);
        }
    }

    pub(crate) fn remove(&self, hash: u64) -> Option<&Arc<Entry>> {
        // Killed before it is removed: a call that finds nothing takes the entry as ended, while other calls may still
        // hold it.
        let kill = |_: &u64, kept: &KeptEntry| {
            kept.iter().for_each(|entry| entry.meta.kill());
            true
        };
        let (_, removed) = self.entries.remove_if(&hash, kill).ok()??;
        removed.iter().for_each(|entry| left(&entry.meta));
        removed.as_ref()
    }
}

/// How many entries each function has in memory, and how much they weigh: both change under memory's lock.
fn entered(meta: &Meta) {
    meta.key.function.events.counters.entered_memory(meta.weight);
}

fn left(meta: &Meta) {
    meta.key.function.events.counters.left_memory(meta.weight);
}
