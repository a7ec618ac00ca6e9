//! The one clock of the process: monotonic milliseconds.

use std::time::Duration;

use tokio::time::Instant;

/// A moment on this process's monotonic clock, in milliseconds. Never compared between processes.
pub(crate) type Millis = u64;

/// Reads the time. Under `tokio::time::pause` the clock is paused and follows `advance`, so tests need no sleep.
///
/// A program that cannot pause tokio's clock uses the kernel's coarse clock: it costs a third, and lags by a tick (1 to
/// 10 ms) at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
    coarse: coarsetime::Instant,
}

/// Replaces the function of this name if tokio was built without `test-util`.
#[allow(dead_code, non_upper_case_globals, reason = "named as the function that hides it")]
const resume: [u8; 1] = [0];

/// Whether tokio is built with `test-util` anywhere in this program: functions take no room, the constant above does.
const CAN_PAUSE: bool = {
    #[allow(unused_imports, reason = "without `test-util` there is nothing in it that is used")]
    use tokio::time::*;
    size_of_val(&resume) == 0
};

/// Whether the current runtime's clock is paused or was advanced: then it differs from the system's clock.
pub(crate) fn is_paused() -> bool {
    if !CAN_PAUSE {
        return false;
    }
    let before = std::time::Instant::now();
    let shown = Instant::now().into_std();
    shown < before || shown > std::time::Instant::now()
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now(), coarse: coarsetime::Instant::now() }
    }

    #[inline]
    pub(crate) fn now(self) -> Millis {
        if CAN_PAUSE {
            self.at(Instant::now())
        } else {
            coarsetime::Instant::now_without_cache_update().duration_since(self.coarse).as_millis()
        }
    }

    pub(crate) fn at(self, moment: Instant) -> Millis {
        moment.saturating_duration_since(self.origin).as_millis() as Millis
    }
}

/// A duration that can be added to any moment: 30 years at most.
pub(crate) fn bounded(wait: Duration) -> Duration {
    wait.min(Duration::from_secs(30 * 366 * 24 * 3600))
}
