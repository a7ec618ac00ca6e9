//! How long one call may wait for the shared tier.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use tokio::time::Instant;

use crate::primitives::timers::timeout;
use crate::shared::breaker::Breaker;
use crate::shared::{RemoteError, RemoteErrorKind, RemoteFuture};

/// How many answers one call may need, one after the other: a miss reads, asks for the lease, and publishes.
pub(crate) const ANSWERS: u32 = 3;

/// A polled caller sees its timer within this time after the deadline. An answer that is seen later says nothing about
/// the tier: the caller that waited for it was not polled.
const LATE: Duration = Duration::from_millis(20);

/// The slowest network that is allowed for: bytes in a millisecond, an eighth of 1 Gbit/s.
const BYTES_PER_MILLISECOND: usize = 16 << 10;

/// How long so many bytes may be in transit, in addition to the time that any answer takes.
fn transit(bytes: usize) -> Duration {
    Duration::from_millis((bytes / BYTES_PER_MILLISECOND) as u64)
}

/// The rest of the time that one call may spend on answers of the shared tier. While the breaker is open, the call
/// sends nothing and spends nothing.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    whole: Duration,
    left: Duration,
    /// The time that the slowest answer took.
    slowest: Duration,
    /// Failures are not reported to the breaker: the primary budget reports them.
    is_secondary: bool,
    breaker: Arc<Breaker>,
}

impl Budget {
    pub(crate) fn new(left: Duration, breaker: Arc<Breaker>) -> Self {
        Self { whole: left, left, slowest: Duration::ZERO, is_secondary: false, breaker }
    }

    /// Like [`Self::spend`], for an operation that reads entries. The answer is used only if the breaker has not opened
    /// or closed meanwhile: otherwise the entry may have been read before a pending invalidation was sent.
    pub(crate) async fn read<T>(&mut self, operation: RemoteFuture<'_, T>) -> Result<T, RemoteError> {
        let generation = self.breaker.generation();
        let answer = self.spend(operation).await?;
        self.still(generation).map(|()| answer)
    }

    /// Like [`Self::read`], for an operation that moves `bytes` bytes: see [`Self::spend_large`].
    pub(crate) async fn read_large<T>(
        &mut self,
        bytes: usize,
        operation: RemoteFuture<'_, T>,
        probe: RemoteFuture<'_, ()>,
    ) -> Result<T, RemoteError> {
        let generation = self.breaker.generation();
        let answer = self.spend_large(bytes, operation, probe).await?;
        self.still(generation).map(|()| answer)
    }

    fn still(&self, generation: u64) -> Result<(), RemoteError> {
        if self.breaker.generation() == generation {
            return Ok(());
        }
        Err(RemoteError::unavailable("the breaker has opened"))
    }

    /// The call got every answer that it needed in time. The breaker counts this as a success only if each answer took
    /// at most a third of the budget: a call that needs three answers would otherwise have failed.
    pub(crate) fn succeeded(&self) {
        if self.slowest <= self.whole / ANSWERS {
            self.breaker.record_success();
        }
    }

    /// A budget for an operation that runs at the same time as the primary one.
    pub(crate) fn secondary(&self) -> Self {
        Self { is_secondary: true, ..self.clone() }
    }

    /// Restores the whole budget: the time for which a call waited for another process is not charged.
    pub(crate) fn renew(&mut self) {
        self.left = self.whole;
    }

    /// Two operations that ran side by side have spent the time of the longer one.
    pub(crate) fn spent_secondary(&mut self, other: &Self) {
        self.left = self.left.min(other.left);
    }

    /// # Errors
    /// While the breaker is open.
    fn check_breaker(&self) -> Result<(), RemoteError> {
        if self.breaker.is_open() { Err(RemoteError::unavailable("the breaker is open")) } else { Ok(()) }
    }

    /// Reports a failure to the breaker, unless the primary budget does.
    fn report<T>(&self, answer: &Result<T, RemoteError>) {
        if let (Err(error), false) = (answer, self.is_secondary) {
            self.breaker.failed(error);
        }
    }

    /// Waits for an answer until the budget is spent.
    pub(crate) async fn spend<T>(&mut self, mut operation: RemoteFuture<'_, T>) -> Result<T, RemoteError> {
        self.check_breaker()?;
        let began = Instant::now();
        let answer = match timeout(self.left, &mut operation).await {
            Ok(answer) => answer,
            Err(_) => late_answer(operation).await,
        };
        self.report(&answer);
        let took = began.elapsed();
        if answer.is_ok() && took > self.left + LATE {
            return answer;
        }
        self.slowest = self.slowest.max(took);
        self.left = self.left.saturating_sub(took);
        answer
    }

    /// Waits for an answer that moves `bytes` bytes. When the rest of the budget is spent, `probe` asks the tier for a
    /// small answer: this tells a dead server from a slow network. If the small answer comes, the bytes get the time
    /// that they take on a slow network. That time is not charged. If it is too short, this says nothing about the
    /// tier.
    pub(crate) async fn spend_large<T>(
        &mut self,
        bytes: usize,
        mut operation: RemoteFuture<'_, T>,
        probe: RemoteFuture<'_, ()>,
    ) -> Result<T, RemoteError> {
        self.check_breaker()?;
        let answer = match timeout(self.left, &mut operation).await {
            Ok(answer) => answer,
            Err(_) => self.wait_on(bytes, operation, probe).await,
        };
        self.report(&answer);
        answer
    }

    async fn wait_on<T>(
        &self,
        bytes: usize,
        operation: RemoteFuture<'_, T>,
        probe: RemoteFuture<'_, ()>,
    ) -> Result<T, RemoteError> {
        let whole = self.whole;
        let asking = Box::pin(async move {
            match timeout(whole, probe).await {
                Ok(answer) => answer,
                Err(_) => Err(no_answer()),
            }
        });
        let operation = match select(operation, asking).await {
            Either::Left((answer, _)) => return answer,
            Either::Right((Err(error), _)) => return Err(error),
            Either::Right((Ok(()), operation)) => operation,
        };
        timeout(transit(bytes), operation).await.unwrap_or_else(|_| {
            let message = format!("a large value ({bytes} bytes) takes longer than it may");
            Err(RemoteError { kind: RemoteErrorKind::Transfer, message })
        })
    }
}

fn no_answer() -> RemoteError {
    RemoteError { kind: RemoteErrorKind::Timeout, message: "no answer within the budget".into() }
}

/// On a busy runtime the timer can fire before an answer that arrived long ago is seen: yield once to the connection.
async fn late_answer<T>(operation: RemoteFuture<'_, T>) -> Result<T, RemoteError> {
    tokio::task::yield_now().await;
    operation.now_or_never().unwrap_or_else(|| Err(no_answer()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test panics to fail")]
mod tests {
    use tokio::time::sleep;

    use super::*;

    fn answer_after(time: Duration) -> RemoteFuture<'static, ()> {
        Box::pin(async move {
            sleep(time).await;
            Ok(())
        })
    }

    /// A tier that is slow for all calls, and in time for a call that needs one answer. Killed by: counting whatever
    /// came in time.
    #[tokio::test(start_paused = true)]
    async fn an_answer_that_took_most_of_the_budget_does_not_count_for_the_tier() {
        let whole = Duration::from_millis(50);
        for (took, opens) in [(20, true), (10, false)] {
            let breaker = Arc::new(Breaker::default());
            for _ in 0..10 {
                if breaker.is_open() {
                    break;
                }
                let mut budget = Budget::new(whole, breaker.clone());
                assert!(budget.spend(answer_after(Duration::from_millis(took))).await.is_ok());
                budget.succeeded();
                assert!(budget.spend(answer_after(whole)).await.is_err());
            }
            assert_eq!(breaker.is_open(), opens, "{took} ms");
        }
    }

    fn no_answer_ever<T: Send + 'static>() -> RemoteFuture<'static, T> {
        Box::pin(std::future::pending())
    }

    /// Killed by: one time for all sizes; a time without an end; charging what the bytes take; counting what says
    /// nothing of the tier.
    #[tokio::test(start_paused = true)]
    async fn bytes_under_way_are_not_charged() {
        let whole = Duration::from_millis(50);
        let breaker = Arc::new(Breaker::default());
        for _ in 0..10 {
            let mut budget = Budget::new(whole, breaker.clone());
            let (large, probe) = (answer_after(Duration::from_millis(300)), answer_after(Duration::from_millis(1)));
            assert!(budget.spend_large(4 << 20, large, probe).await.is_ok());
            assert!(budget.spend(answer_after(Duration::from_millis(40))).await.is_ok(), "nothing was charged");
            let (large, probe) = (no_answer_ever::<()>(), answer_after(Duration::from_millis(1)));
            let error = budget.spend_large(4 << 20, large, probe).await.unwrap_err();
            assert_eq!(error.kind, RemoteErrorKind::Transfer);
        }
        assert!(!breaker.is_open());
    }

    /// Killed by: waiting for the bytes of a server that answers nothing; not counting it.
    #[tokio::test(start_paused = true)]
    async fn a_large_answer_of_a_dead_server_is_not_waited_for() {
        let breaker = Arc::new(Breaker::default());
        let began = Instant::now();
        for _ in 0..5 {
            let mut budget = Budget::new(Duration::from_millis(50), breaker.clone());
            let error = budget.spend_large(1 << 30, no_answer_ever::<()>(), no_answer_ever()).await.unwrap_err();
            assert_eq!(error.kind, RemoteErrorKind::Timeout);
        }
        assert!(began.elapsed() <= Duration::from_millis(510), "{:?}", began.elapsed());
        assert!(breaker.is_open());
    }

    /// A stream whose consumer is slow holds the calls that it buffers. Killed by: charging whatever time has passed.
    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_was_polled_for_costs_nothing() {
        let mut budget = Budget::new(Duration::from_millis(50), Arc::default());
        {
            let mut held = std::pin::pin!(budget.spend(answer_after(Duration::from_millis(1))));
            assert!(held.as_mut().now_or_never().is_none());
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(held.await.is_ok());
        }
        assert!(budget.spend(answer_after(Duration::from_millis(40))).await.is_ok());
        assert!(budget.spend(answer_after(Duration::from_millis(40))).await.is_err());
    }

    /// Killed by: a budget for each command; one that what was answered does not use up.
    #[tokio::test(start_paused = true)]
    async fn all_commands_of_a_call_share_one_budget() {
        let mut budget = Budget::new(Duration::from_millis(50), Arc::default());
        let began = Instant::now();
        assert!(budget.spend(answer_after(Duration::from_millis(30))).await.is_ok());
        assert!(budget.spend(answer_after(Duration::from_millis(30))).await.is_err());
        assert!(budget.spend(answer_after(Duration::from_millis(1))).await.is_err());
        assert!(budget.spend(Box::pin(async { Ok(()) })).await.is_ok(), "what is there needs no time");
        assert!(began.elapsed() <= Duration::from_millis(52), "{:?}", began.elapsed());
    }
}
