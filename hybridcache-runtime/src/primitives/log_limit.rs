//! Limits how often the same failure is logged as a warning: in an outage of hours, not each call logs one.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::primitives::sync::LockExt as _;

/// For failures that can go on for hours.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// One kind of failure, and when it was logged as a warning.
#[derive(Debug)]
pub(crate) struct LogLimit {
    pause: Duration,
    last: Mutex<Option<Instant>>,
}

impl LogLimit {
    pub(crate) const fn every(pause: Duration) -> Self {
        Self { pause, last: Mutex::new(None) }
    }

    /// Whether a warning is due. Otherwise the failure is logged at debug level.
    pub(crate) fn allow(&self) -> bool {
        let mut last = self.last.lock_unpoisoned();
        let allow = last.is_none_or(|last| last.elapsed() >= self.pause);
        if allow {
            *last = Some(Instant::now());
        }
        allow
    }
}
