//! Waiting for conditions. The bounds are there to fail, not to measure.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// Shorter than a caller waits for somebody else's load (30 s): a wake-up that never comes must not be made up for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Looks again and again until the condition holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Fails where something hangs.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}
