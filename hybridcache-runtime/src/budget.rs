//! How long one call may wait for the shared tier.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, timeout};

use crate::remote::{RemoteError, RemoteErrorKind, RemoteFuture};

/// What is left of the time that one call may spend on answers of the shared tier.
#[derive(Debug)]
pub(crate) struct Budget {
    left: Duration,
}

impl Budget {
    pub(crate) fn new(left: Duration) -> Self {
        Self { left }
    }

    /// Waits for an answer as long as the budget lasts.
    pub(crate) async fn spend<T>(&mut self, mut operation: RemoteFuture<'_, T>) -> Result<T, RemoteError> {
        let began = Instant::now();
        let answer = match timeout(self.left, &mut operation).await {
            Ok(answer) => answer,
            Err(_) => late_answer(operation).await,
        };
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
