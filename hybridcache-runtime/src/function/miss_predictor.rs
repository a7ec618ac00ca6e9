//! Predicts whether the shared tier has no entry. Then the lease is asked for together with the read, and a miss takes
//! one round trip less. A wrong prediction costs the tier a few microseconds, and callers nothing.

use crate::primitives::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How many reads in a row must have found nothing.
const CONVINCING: u32 = 4;

/// The predictor of one function, by its latest reads.
#[derive(Debug, Default)]
pub(crate) struct MissPredictor {
    misses_in_a_row: AtomicU32,
}

impl MissPredictor {
    pub(crate) fn is_miss(&self) -> bool {
        self.misses_in_a_row.load(Ordering::Relaxed) >= CONVINCING
    }

    /// Records whether a read found an entry.
    pub(crate) fn learn(&self, found: bool) {
        let before = self.misses_in_a_row.load(Ordering::Relaxed);
        // A lost update between two threads is made up by the next read.
        let after = if found { 0 } else { before.saturating_add(1).min(CONVINCING) };
        if after != before {
            self.misses_in_a_row.store(after, Ordering::Relaxed);
        }
    }
}

/// The keys that this process has deleted recently, by their ids. A key is forgotten early if another id takes its
/// slot.
#[derive(Debug)]
pub(crate) struct RecentDeletes {
    ids: Box<[AtomicU64]>,
}

const PLACES: usize = 1024;

impl Default for RecentDeletes {
    fn default() -> Self {
        Self { ids: (0..PLACES).map(|_| AtomicU64::default()).collect() }
    }
}

impl RecentDeletes {
    pub(crate) fn note(&self, id: u64) {
        self.place(id).store(id, Ordering::Relaxed);
    }

    /// Whether the key was deleted recently. Consumes the hint.
    pub(crate) fn take(&self, id: u64) -> bool {
        let place = self.place(id);
        place.load(Ordering::Relaxed) == id
            && place.compare_exchange(id, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn place(&self, id: u64) -> &AtomicU64 {
        &self.ids[id as usize % PLACES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Killed by: one miss that convinces; a hit that does not.
    #[test]
    fn only_misses_in_a_row_make_one_likely() {
        let miss_predictor = MissPredictor::default();
        for _ in 0..3 {
            (1..CONVINCING).for_each(|_| miss_predictor.learn(false));
            assert!(!miss_predictor.is_miss());
            miss_predictor.learn(false);
            assert!(miss_predictor.is_miss());
            (0..100).for_each(|_| miss_predictor.learn(false));
            miss_predictor.learn(true);
            assert!(!miss_predictor.is_miss());
        }
    }

    #[test]
    fn what_was_deleted_is_told_once() {
        let deleted = RecentDeletes::default();
        assert!(!deleted.take(7));
        deleted.note(7);
        assert!(!deleted.take(7 + PLACES as u64));
        assert!(deleted.take(7));
        assert!(!deleted.take(7));
    }
}
