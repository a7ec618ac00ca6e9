//! How often the same trouble is told: an outage of hours is no warning for each call.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For what can go on for hours.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// What was told of one kind of trouble.
#[derive(Debug)]
pub(crate) struct Complaints {
    pause: Duration,
    last: Mutex<Option<Instant>>,
}

impl Complaints {
    pub(crate) const fn every(pause: Duration) -> Self {
        Self { pause, last: Mutex::new(None) }
    }

    /// Whether to warn now; what is not due yet is for who debugs.
    pub(crate) fn is_due(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| last.elapsed() >= self.pause);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }
}
