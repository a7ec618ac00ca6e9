//! Measures the steps of the shared tier.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::event::EventKind;
use super::operation::{Operation, StepResult};
use super::spans;
use super::stream::Subject;

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
