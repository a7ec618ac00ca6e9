//! Which keys are hit most, counted only while somebody looks.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::event::Keyed;
use crate::primitives::sync::LockExt as _;

/// How many keys are counted at most.
const KEYS: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Sampler {
    looking: AtomicUsize,
    hits: Mutex<HashMap<(String, String), u64>>,
}

/// A key and its hits.
pub(crate) type Hot = ((String, String), u64);

impl Sampler {
    /// Somebody begins to look. Returns whether nobody did before.
    pub(crate) fn begin(&self) -> bool {
        self.looking.fetch_add(1, SeqCst) == 0
    }

    /// Returns whether nobody looks any more.
    pub(crate) fn end(&self) -> bool {
        let was_last = self.looking.fetch_sub(1, SeqCst) == 1;
        if was_last {
            self.hits.lock_unpoisoned().clear();
        }
        was_last
    }

    /// A hit, if somebody looks.
    pub(crate) fn hit(&self, function: &str, key: &dyn Keyed) {
        if self.looking.load(SeqCst) == 0 {
            return;
        }
        let mut hits = self.hits.lock_unpoisoned();
        let key = (function.to_owned(), key.readable().into_owned());
        if hits.len() < KEYS || hits.contains_key(&key) {
            *hits.entry(key).or_default() += 1;
        }
    }

    /// The keys with the most hits, the hottest first, and the number of all hits that were counted.
    pub(crate) fn hottest(&self, most: usize) -> (Vec<Hot>, u64) {
        let mut hits: Vec<_> = self.hits.lock_unpoisoned().iter().map(|(key, hits)| (key.clone(), *hits)).collect();
        let all = hits.iter().map(|(_, hits)| hits).sum();
        hits.sort_by(|(key, hits), (other, fewer)| fewer.cmp(hits).then_with(|| key.cmp(other)));
        hits.truncate(most);
        (hits, all)
    }
}
