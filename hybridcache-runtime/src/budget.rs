//! How long one call may wait for the shared tier.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, timeout};

use crate::breaker::Breaker;
use crate::remote::{RemoteError, RemoteErrorKind, RemoteFuture};

/// What is left of the time that one call may spend on answers of the shared tier. Where the breaker is open it spends
/// nothing, and asks nothing.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    left: Duration,
    breaker: Arc<Breaker>,
}

impl Budget {
    pub(crate) fn new(left: Duration, breaker: Arc<Breaker>) -> Self {
        Self { left, breaker }
    }

    /// The same for what reads entries. An answer counts only if the breaker has stayed closed: else it may be from before
    /// something was told that had to be told first.
    pub(crate) async fn read<T>(&mut self, operation: RemoteFuture<'_, T>) -> Result<T, RemoteError> {
        let turn = self.breaker.turn();
        let answer = self.spend(operation).await?;
        if self.breaker.turn() != turn {
            return Err(RemoteError { kind: RemoteErrorKind::Unavailable, message: "the breaker has opened".into() });
        }
        Ok(answer)
    }

    /// What the call needed came in its time.
    pub(crate) fn sufficed(&self) {
        self.breaker.passed();
    }

    /// Two who waited side by side have spent what the longer wait took.
    pub(crate) fn spent_beside(&mut self, other: &Self) {
        self.left = self.left.min(other.left);
    }

    /// Waits for an answer as long as the budget lasts.
    pub(crate) async fn spend<T>(&mut self, mut operation: RemoteFuture<'_, T>) -> Result<T, RemoteError> {
        if self.breaker.is_open() {
            return Err(RemoteError { kind: RemoteErrorKind::Unavailable, message: "the breaker is open".into() });
        }
        let began = Instant::now();
        let answer = match timeout(self.left, &mut operation).await {
            Ok(answer) => answer,
            Err(_) => late_answer(operation).await,
        };
        if let Err(error) = &answer {
            self.breaker.failed(error);
        }
        self.left = self.left.saturating_sub(began.elapsed());
        answer
    }
}

/// On a busy runtime the timer can be seen before an answer that has long arrived: give the connection one turn.
async fn late_answer<T>(operation: RemoteFuture<'_, T>) -> Result<T, RemoteError> {
    tokio::task::yield_now().await;
    operation.now_or_never().unwrap_or_else(|| {
        Err(RemoteError { kind: RemoteErrorKind::Timeout, message: "no answer within the budget".into() })
    })
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    fn answer_after(time: Duration) -> RemoteFuture<'static, ()> {
        Box::pin(async move {
            sleep(time).await;
            Ok(())
        })
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
