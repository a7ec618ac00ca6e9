//! The one clock of the process: monotonic milliseconds.

use tokio::time::Instant;

/// A moment on this process's monotonic time line, in milliseconds. Never compared between processes.
pub(crate) type Millis = u64;

/// Reads the time. Under `tokio::time::pause` it stands still and follows `advance`, so tests need no sleep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    pub(crate) fn now(self) -> Millis {
        self.at(Instant::now())
    }

    pub(crate) fn at(self, moment: Instant) -> Millis {
        moment.saturating_duration_since(self.origin).as_millis() as Millis
    }
}
