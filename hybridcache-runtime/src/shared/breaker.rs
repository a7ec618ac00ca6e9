//! Whether the shared tier is asked at all: a circuit breaker (Nygard, "Release It!", 2007).
//!
//! It opens when several calls in a row fail to get what they need in their time, and whenever this process has invalidated something
//! that the shared tier may not know: reading on could bring back what was invalidated. While it is open no caller asks,
//! and no caller tries whether it may: [`crate::cache::recovery`] does, and closes it.

use tokio::sync::Notify;

use crate::primitives::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::shared::{RemoteError, RemoteErrorKind};

/// How many calls in a row must fail to get from the tier what they need, in their time.
const FAILURES: u32 = 5;

#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// Odd while open. Counts up with every reason to be open, so that one which comes while it is being closed is not
    /// overlooked.
    state: AtomicU64,
    failures: AtomicU32,
    openings: AtomicU64,
    changed: Notify,
}

/// All reasons to be open that were known at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reasons(u64);

impl Breaker {
    pub(crate) fn is_open(&self) -> bool {
        self.reasons().is_some()
    }

    /// How often it has opened.
    pub(crate) fn openings(&self) -> u64 {
        self.openings.load(Ordering::Relaxed)
    }

    /// A call got all it needed, in its time. (One answer in time says little: of a tier that takes half the budget for
    /// each, no call would get a second one.) A refusal is an answer too: the tier is there, and quick.
    pub(crate) fn record_success(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// A call did not.
    pub(crate) fn failed(&self, error: &RemoteError) {
        match error.kind {
            RemoteErrorKind::Refused => self.record_success(),
            // They say nothing of the rest.
            RemoteErrorKind::PartDown | RemoteErrorKind::Transfer => {}
            RemoteErrorKind::Timeout | RemoteErrorKind::Unavailable => {
                let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                if failures >= FAILURES && !self.is_open() {
                    self.open();
                }
            }
        }
    }

    /// Changes whenever it opens or closes.
    pub(crate) fn generation(&self) -> u64 {
        self.state.load(Ordering::Acquire)
    }

    /// Opens it, or gives one more reason to stay open.
    pub(crate) fn open(&self) {
        let before = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| Some((state + 2) | 1));
        if before.is_ok_and(|state| state % 2 == 0) {
            self.openings.fetch_add(1, Ordering::Relaxed);
            self.changed.notify_one();
        }
    }

    /// Why it is open, if it is.
    pub(crate) fn reasons(&self) -> Option<Reasons> {
        let state = self.state.load(Ordering::Acquire);
        (state % 2 == 1).then_some(Reasons(state))
    }

    /// Closes it, unless there are other reasons by now.
    pub(crate) fn close(&self, reasons: Reasons) {
        self.failures.store(0, Ordering::Relaxed);
        // That fails where there are.
        let _ = self.state.compare_exchange(reasons.0, reasons.0 + 1, Ordering::AcqRel, Ordering::Acquire);
    }

    /// The tier may be back: worth a try at once.
    pub(crate) fn probe_soon(&self) {
        self.changed.notify_one();
    }

    /// Waits until it opens or is nudged. For one waiter.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test panics to fail")]
mod tests {
    use super::*;

    fn failed(kind: RemoteErrorKind) -> RemoteError {
        RemoteError { kind, message: String::new() }
    }

    /// Killed by: counting all failures, not those in a row; counting refusals.
    #[test]
    fn only_failures_in_a_row_open_it() {
        let breaker = Breaker::default();
        for _ in 0..10 {
            (1..FAILURES).for_each(|_| breaker.failed(&failed(RemoteErrorKind::Timeout)));
            breaker.record_success();
            (1..FAILURES).for_each(|_| breaker.failed(&failed(RemoteErrorKind::Unavailable)));
            breaker.failed(&failed(RemoteErrorKind::Refused));
        }
        assert!(!breaker.is_open());
        (0..FAILURES).for_each(|_| breaker.failed(&failed(RemoteErrorKind::Timeout)));
        assert!(breaker.is_open());
        assert_eq!(breaker.openings(), 1);
    }

    /// Killed by: counting them; taking them for answers.
    #[test]
    fn a_part_that_is_down_neither_opens_it_nor_hides_other_failures() {
        let breaker = Breaker::default();
        (0..100).for_each(|_| breaker.failed(&failed(RemoteErrorKind::PartDown)));
        assert!(!breaker.is_open());
        for _ in 0..FAILURES {
            breaker.failed(&failed(RemoteErrorKind::Timeout));
            breaker.failed(&failed(RemoteErrorKind::PartDown));
        }
        assert!(breaker.is_open());
    }

    /// An invalidation that fails while the journal is being replayed. Killed by: closing whatever came meanwhile.
    #[test]
    fn a_reason_that_comes_late_keeps_it_open() {
        let breaker = Breaker::default();
        breaker.open();
        let reasons = breaker.reasons().unwrap();
        breaker.open();
        breaker.close(reasons);
        assert!(breaker.is_open());
        breaker.close(breaker.reasons().unwrap());
        assert!(!breaker.is_open());
        assert_eq!(breaker.openings(), 1);
    }

    /// What was under way when it opened ends late. Killed by: such an end counting towards the next opening.
    #[test]
    fn it_closes_with_a_clean_slate() {
        let breaker = Breaker::default();
        (0..2 * FAILURES).for_each(|_| breaker.failed(&failed(RemoteErrorKind::Timeout)));
        breaker.close(breaker.reasons().unwrap());
        breaker.failed(&failed(RemoteErrorKind::Timeout));
        assert!(!breaker.is_open());
    }
}
