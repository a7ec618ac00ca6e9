//! The counters of the shared tier's steps.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::histogram::{Histogram, STEPS};
use super::operation::{Operation, StepResult};

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
    pub(super) fn count(&self, operation: Operation, result: StepResult, took: Duration) {
        let of_operation = self.of(operation);
        of_operation.results[result as usize].fetch_add(1, Relaxed);
        if result != StepResult::Abandoned {
            of_operation.durations.took(took);
        }
    }
}
