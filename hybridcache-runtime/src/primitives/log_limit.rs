//! How often the same trouble is told: an outage of hours is no warning for each call.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For what can go on for hours.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// What was told of one kind of trouble.
#[derive(Debug)]
pub(crate) struct LogLimit {
    pause: Duration,
    last: Mutex<Option<Instant>>,
}

impl LogLimit {
    pub(crate) const fn every(pause: Duration) -> Self {
        Self { pause, last: Mutex::new(None) }
    }

    /// Whether to warn now; what is not due yet is for who debugs.
    pub(crate) fn allow(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let allow = last.is_none_or(|last| last.elapsed() >= self.pause);
        if allow {
            *last = Some(Instant::now());
        }
        allow
    }
}
