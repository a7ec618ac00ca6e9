//! Waiting for conditions. The bounds are there to fail, not to measure.

use std::thread;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// Shorter than a caller waits for another caller's load (30 s): a wake-up that never comes must not be made up for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Evaluates the condition every 5 ms until it holds.
///
/// # Panics
///
/// Where it does not hold within 20 seconds.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Awaits the future, which may hang.
///
/// # Panics
///
/// Where it takes longer than 20 seconds.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

/// [`eventually`] for threads without a runtime, with a bound of its own: whether the condition held in time.
pub fn holds_within(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = std::time::Instant::now() + patience;
    while !condition() {
        if std::time::Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}
