//! The sizes of a function's entries: whether the next one is read as a large one, and whether large ones can be read
//! at all.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use crate::primitives::backoff::Backoff;
use crate::primitives::clock::Millis;
use crate::primitives::log_limit::MINUTE;
use crate::shared::LARGE;

/// A smaller entry moves the expected size by this fraction of the difference; a larger one moves it at once.
const SLOWLY: usize = 8;

/// After this many large values in a row that did not arrive, none is asked for during a minute, and twice as long each
/// time that the next one does not arrive either. Then such values are loaded. A server closes the connection of a
/// client whose pending replies exceed its limit (`client-output-buffer-limit normal`), and a transfer may take longer
/// than any caller waits.
const ENOUGH: u32 = 2;
const PAUSE: Millis = MINUTE.as_millis() as Millis;
const PAUSES: Backoff = Backoff::new(MINUTE, Duration::from_secs(3_600));

/// Failures within this time have one cause: a connection that ends carries several transfers, and a restart ends all
/// connections.
const TOGETHER: Millis = 1_000;

/// The sizes of one function, by the entries that were read and stored.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    expected: AtomicUsize,
    failures: AtomicU32,
    failed_at: AtomicU64,
    paused_until: AtomicU64,
}

impl Sizes {
    /// The expected size of the next entry, if it is probably large.
    pub(crate) fn expected_large(&self) -> Option<usize> {
        Some(self.expected.load(Relaxed)).filter(|bytes| *bytes >= LARGE)
    }

    /// Records the size of an entry that was read or stored.
    pub(crate) fn learn(&self, bytes: usize) {
        let expected = self.expected.load(Relaxed);
        let next = if bytes >= expected { bytes } else { expected - (expected - bytes).div_ceil(SLOWLY) };
        // A lost update between two threads is made up by the next entry.
        if next != expected {
            self.expected.store(next, Relaxed);
        }
    }

    /// Whether large values are not asked for at present.
    pub(crate) fn is_paused(&self, now: Millis) -> bool {
        now < self.paused_until.load(Relaxed)
    }

    /// A large value arrived.
    pub(crate) fn arrived(&self) {
        self.failures.store(0, Relaxed);
    }

    /// A large value did not arrive, although small ones do.
    pub(crate) fn failed(&self, now: Millis) {
        let (before, paused_until) = (self.failed_at.swap(now, Relaxed), self.paused_until.load(Relaxed));
        let failures = match self.failures.load(Relaxed) {
            0 => 0,
            _ if now < before + TOGETHER => return,
            // Old failures are no pattern: a server that restarts from time to time does not close connections because
            // of a read.
            _ if now > before.max(paused_until) + PAUSE => 0,
            failures => failures,
        };
        self.failures.store(failures.saturating_add(1), Relaxed);
        if let Some(times) = (failures + 1).checked_sub(ENOUGH) {
            let pause = PAUSES.pause(times).as_millis() as Millis;
            self.paused_until.store(now + pause, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Killed by: the latest size alone, as values of two sizes may take turns; the largest size for ever.
    #[test]
    fn the_largest_of_the_latest_is_expected() {
        let sizes = Sizes::default();
        assert_eq!(sizes.expected_large(), None);
        sizes.learn(LARGE - 1);
        assert_eq!(sizes.expected_large(), None);
        sizes.learn(8 * LARGE);
        sizes.learn(100);
        sizes.learn(100);
        assert!(sizes.expected_large().is_some_and(|bytes| bytes > 6 * LARGE));
        (0..100).for_each(|_| sizes.learn(100));
        assert_eq!(sizes.expected_large(), None);
        assert_eq!(sizes.expected.load(Relaxed), 100);
    }

    /// Killed by: counting failures that come together; counting what happened hours ago; a pause that does not grow,
    /// or has no end; one that a value which arrived does not end.
    #[test]
    fn large_values_that_do_not_arrive_again_and_again_are_not_asked_for() {
        let sizes = Sizes::default();
        let mut now = 10_000;
        let fail = |now| (0..10).for_each(|nth| sizes.failed(now + nth));
        for _ in 0..5 {
            fail(now);
            assert!(!sizes.is_paused(now + 10), "once an hour is nothing");
            now += 60 * PAUSE;
        }
        fail(now);
        now += 2 * TOGETHER;
        sizes.arrived();
        fail(now);
        assert!(!sizes.is_paused(now));
        let mut minutes = 1;
        for _ in 0..10 {
            now += 2 * TOGETHER;
            sizes.failed(now);
            assert!(sizes.is_paused(now + minutes * PAUSE - 1));
            now += minutes * PAUSE;
            assert!(!sizes.is_paused(now), "it is tried again after {minutes} minutes");
            minutes = (2 * minutes).min(60);
        }
    }
}
