//! A circuit breaker (Nygard, "Release It!", 2007): whether calls use the shared tier at all.
//!
//! It opens when several calls in a row do not get the answers that they need within their budget. It also opens when
//! this process has invalidated something that the shared tier may not know: a read could then bring back the
//! invalidated value. While the breaker is open, no call uses the tier, and no call tests whether the tier is back:
//! [`crate::cache::recovery`] tests that, and closes the breaker.

use tokio::sync::Notify;

use crate::primitives::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::shared::{RemoteError, RemoteErrorKind};

/// How many calls in a row must fail to get the answers that they need within their budget.
const FAILURES: u32 = 5;

#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// Odd while open. Each reason to be open increases it, so that a reason which comes while the breaker is being
    /// closed is not overlooked.
    state: AtomicU64,
    failures: AtomicU32,
    openings: AtomicU64,
    changed: Notify,
}

/// All reasons to be open that were known at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reasons(u64);

impl Breaker {
    pub(crate) fn is_open(&self) -> bool {
        self.reasons().is_some()
    }

    /// How often the breaker has opened.
    pub(crate) fn openings(&self) -> u64 {
        self.openings.load(Ordering::Relaxed)
    }

    /// A call got all answers that it needed within its budget. (One answer in time proves little: a tier that takes
    /// half the budget for each answer gives no call a second one.) A refusal is an answer too: the tier is reachable
    /// and quick.
    pub(crate) fn record_success(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// A call failed to get an answer. Only timeouts and lost connections count.
    pub(crate) fn failed(&self, error: &RemoteError) {
        match error.kind {
            RemoteErrorKind::Refused => self.record_success(),
            // These errors say nothing about the rest of the tier.
            RemoteErrorKind::PartDown | RemoteErrorKind::Transfer => {}
            RemoteErrorKind::Timeout | RemoteErrorKind::Unavailable => {
                let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                if failures >= FAILURES && !self.is_open() {
                    self.open();
                }
            }
        }
    }

    /// Changes whenever the breaker opens or closes.
    pub(crate) fn generation(&self) -> u64 {
        self.state.load(Ordering::Acquire)
    }

    /// Opens the breaker, or adds a reason to stay open.
    pub(crate) fn open(&self) {
        let before = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| Some((state + 2) | 1));
        if before.is_ok_and(|state| state % 2 == 0) {
            self.openings.fetch_add(1, Ordering::Relaxed);
            self.changed.notify_one();
        }
    }

    /// Why the breaker is open, if it is.
    pub(crate) fn reasons(&self) -> Option<Reasons> {
        let state = self.state.load(Ordering::Acquire);
        (state % 2 == 1).then_some(Reasons(state))
    }

    /// Closes the breaker, unless another reason was added after `reasons` was read.
    pub(crate) fn close(&self, reasons: Reasons) {
        self.failures.store(0, Ordering::Relaxed);
        // Another reason has changed the state, so the exchange fails and the breaker stays open.
        let _ = self.state.compare_exchange(reasons.0, reasons.0 + 1, Ordering::AcqRel, Ordering::Acquire);
    }

    /// The tier may be back: wakes the waiter of [`Self::changed`] at once.
    pub(crate) fn probe_soon(&self) {
        self.changed.notify_one();
    }

    /// Waits until the breaker opens, or until [`Self::probe_soon`] is called. For one waiter.
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

    /// An invalidation fails while the journal is being replayed. Killed by: closing whatever came meanwhile.
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

    /// A call that was in flight when the breaker opened ends late. Killed by: such an end counting towards the next
    /// opening.
    #[test]
    fn it_closes_with_a_clean_slate() {
        let breaker = Breaker::default();
        (0..2 * FAILURES).for_each(|_| breaker.failed(&failed(RemoteErrorKind::Timeout)));
        breaker.close(breaker.reasons().unwrap());
        breaker.failed(&failed(RemoteErrorKind::Timeout));
        assert!(!breaker.is_open());
    }
}
