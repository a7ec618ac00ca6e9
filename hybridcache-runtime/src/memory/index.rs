//! Which entry a key has: read by every hit, without a lock.

use std::sync::Arc;

use papaya::{HashMap, ResizeMode};
use seize::Collector;

use super::entries_by_id::EntriesById;
use crate::entry::Entry;
use crate::entry::drops::Kept;
use crate::primitives::identity_hash::AlreadyHashed;

/// How many removed entries a thread may keep before it frees them. A reader may still be copying the value of one, so they
/// cannot be freed as they are removed.
pub(crate) const KEPT_BY_A_THREAD: usize = 8;

/// How many places of a table a write copies to the next one, while there are two. What is removed meanwhile is not freed before
/// the old one is, so that has to go soon: papaya's own 64 would keep an entry for each 64 places.
const COPIED_BY_A_WRITE: usize = 4096;

/// Entries by the hash of their key: of two keys with the same hash, the later one. (The hash is seeded, so nobody can look
/// for two.) An entry that is not in it any more is dead.
#[derive(Debug)]
pub(crate) struct Index {
    entries: HashMap<u64, Kept, AlreadyHashed>,
    held: Option<EntriesById>,
}

impl Index {
    pub(crate) fn new(shared: bool) -> Self {
        let collector = Collector::new().batch_size(KEPT_BY_A_THREAD);
        let resize = ResizeMode::Incremental(COPIED_BY_A_WRITE);
        let entries =
            HashMap::builder().hasher(AlreadyHashed::default()).collector(collector).resize_mode(resize).build();
        Self { entries, held: shared.then(EntriesById::new) }
    }

    #[inline]
    pub(crate) fn look<R>(&self, hash: u64, read: impl FnOnce(&Arc<Entry>) -> R) -> Option<R> {
        match self.entries.pin().get(&hash).map(|kept| &**kept) {
            Some(Some(entry)) => Some(read(entry)),
            _ => None,
        }
    }

    pub(crate) fn insert(&self, entry: Arc<Entry>) {
        // A message that comes in between finds it.
        if let Some(held) = &self.held {
            held.add(&entry);
        }
        let entries = self.entries.pin();
        if let Some(replaced) = entries.insert(entry.meta.key.hash(), entry.into()).and_then(|kept| kept.as_ref()) {
            replaced.meta.kill();
            self.forget(replaced);
        }
    }

    pub(crate) fn remove(&self, hash: u64) -> Option<Kept> {
        let entries = self.entries.pin();
        // Dead before it is out: whoever comes then and finds nothing takes it for ended, and others may still hold it.
        let kill = |_: &u64, kept: &Kept| {
            kept.iter().for_each(|entry| entry.meta.kill());
            true
        };
        let (_, removed) = entries.remove_if(&hash, kill).ok()??;
        removed.iter().for_each(|entry| self.forget(entry));
        Some(removed.clone())
    }

    /// No message is about it any more.
    fn forget(&self, entry: &Arc<Entry>) {
        if let Some(held) = &self.held {
            held.remove(entry);
        }
    }

    pub(crate) fn with_id(&self, id: u64) -> Vec<Kept> {
        self.held.as_ref().map(|held| held.with_id(id)).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    #[cfg(test)]
    pub(crate) fn all(&self) -> Vec<Arc<Entry>> {
        self.entries.pin().values().filter_map(|kept| (**kept).clone()).collect()
    }

    #[cfg(test)]
    pub(crate) fn all_held(&self) -> Vec<Arc<Entry>> {
        self.held.as_ref().map(EntriesById::all).unwrap_or_default()
    }
}
