//! What the shared tier is asked for, and how it answers.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::event::EventKind;
use super::histogram::{Histogram, STEPS};
use super::spans;
use super::stream::Subject;

/// One kind of step of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Reads an entry.
    Read,
    /// Reads the head of an entry, which tells it from others.
    Verify,
    /// Creates stamps.
    CreateStamps,
    /// Asks for a lease.
    Acquire,
    /// Reads an entry and asks for its lease.
    ReadAndAcquire,
    /// Prolongs a lease.
    Renew,
    /// Gives a lease back.
    Release,
    /// Stores an entry.
    Publish,
    /// Removes an entry and takes its lease, for a put.
    Seize,
    /// Invalidates an entry.
    Invalidate,
    /// Invalidates a tag, a function or a namespace.
    Restamp,
    /// Asks for any answer.
    Probe,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StepResult {
    /// The tier answered.
    Ok,
    /// There is no connection, or it broke.
    Unavailable,
    /// No answer in time.
    Timeout,
    /// The tier answered with an error.
    Refused,
    /// The caller stopped waiting: its budget was spent, or it was dropped.
    Abandoned,
}

super::event::labels!(Operation {
    Read = "read",
    Verify = "verify",
    CreateStamps = "create_stamps",
    Acquire = "acquire",
    ReadAndAcquire = "read_and_acquire",
    Renew = "renew",
    Release = "release",
    Publish = "publish",
    Seize = "seize",
    Invalidate = "invalidate",
    Restamp = "restamp",
    Probe = "probe",
});
super::event::labels!(StepResult {
    Ok = "ok",
    Unavailable = "unavailable",
    Timeout = "timeout",
    Refused = "refused",
    Abandoned = "abandoned",
});

impl Operation {
    /// The command of Redis that does most of it.
    pub(super) fn command(self) -> &'static str {
        match self {
            Self::Read | Self::Verify => "GETRANGE",
            Self::Restamp => "UNLINK",
            Self::Probe => "PING",
            _ => "EVALSHA",
        }
    }

    /// The script that does it.
    pub(super) fn script(self) -> Option<&'static str> {
        match self {
            Self::CreateStamps => Some("register"),
            Self::Acquire | Self::ReadAndAcquire => Some("acquire"),
            Self::Renew => Some("renew"),
            Self::Release => Some("release"),
            Self::Publish => Some("publish"),
            Self::Seize | Self::Invalidate => Some("invalidate"),
            Self::Read | Self::Verify | Self::Restamp | Self::Probe => None,
        }
    }
}

/// The counters of all steps.
#[derive(Debug)]
pub(crate) struct StepCounters {
    by_operation: [OfOperation; Operation::ALL.len()],
}

#[derive(Debug)]
pub(crate) struct OfOperation {
    pub(crate) results: [AtomicU64; StepResult::ALL.len()],
    pub(crate) durations: Histogram,
}

impl Default for StepCounters {
    fn default() -> Self {
        let of_operation = |_| OfOperation { results: Default::default(), durations: Histogram::new(&STEPS) };
        Self { by_operation: Operation::ALL.map(of_operation) }
    }
}

impl StepCounters {
    pub(crate) fn of(&self, operation: Operation) -> &OfOperation {
        &self.by_operation[operation as usize]
    }

    /// Counts a step. Abandoned ones are not timed: how long they would have taken is not known.
    pub(super) fn count(&self, operation: Operation, result: StepResult, took: std::time::Duration) {
        let of_operation = self.of(operation);
        of_operation.results[result as usize].fetch_add(1, Relaxed);
        if result != StepResult::Abandoned {
            of_operation.durations.took(took);
        }
    }
}

/// A step that has been sent. Dropped without an end, it counts as abandoned.
struct Running {
    events: Arc<Subject>,
    operation: Operation,
    began: Instant,
    span: Span,
    result: StepResult,
}

impl Drop for Running {
    fn drop(&mut self) {
        spans::shared_ended(&self.span, self.result);
        let (operation, result, took) = (self.operation, self.result, self.began.elapsed());
        self.events.happened(None, EventKind::SharedStep { operation, result, took });
    }
}

/// Runs a step, which begins with the first poll. `result` says how its answer counts.
pub(crate) async fn measured<T>(
    events: Arc<Subject>,
    operation: Operation,
    server: impl FnOnce() -> Option<(String, u16)>,
    step: impl Future<Output = T>,
    result: impl FnOnce(&T) -> StepResult,
) -> T {
    let span = spans::shared(&events.stream, operation, server);
    let mut running =
        Running { events, operation, began: Instant::now(), span: span.clone(), result: StepResult::Abandoned };
    let answer = step.instrument(span).await;
    running.result = result(&answer);
    answer
}
