//! Whether the shared tier is likely to have nothing. Then the lease is asked for together with the reading, and a miss costs
//! one round trip less. A wrong guess costs the tier a few microseconds, and nobody anything else.

use crate::primitives::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How many readings in a row must have found nothing.
const CONVINCING: u32 = 4;

/// Of a function, by its latest readings.
#[derive(Debug, Default)]
pub(crate) struct MissPredictor {
    misses_in_a_row: AtomicU32,
}

impl MissPredictor {
    pub(crate) fn is_miss(&self) -> bool {
        self.misses_in_a_row.load(Ordering::Relaxed) >= CONVINCING
    }

    /// What a reading found.
    pub(crate) fn learn(&self, found: bool) {
        let before = self.misses_in_a_row.load(Ordering::Relaxed);
        // One that gets lost between two threads comes again.
        let after = if found { 0 } else { before.saturating_add(1).min(CONVINCING) };
        if after != before {
            self.misses_in_a_row.store(after, Ordering::Relaxed);
        }
    }
}

/// Keys that this process has deleted of late, by their ids. Some are forgotten early: those whose ids share a place.
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

    /// Whether it was; asked once, it is forgotten.
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
