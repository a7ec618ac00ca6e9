//! The caller who started a flight drives it while nobody else depends on it: what stands in the shared tier is read
//! without a task.
//!
//! A task drives it from then on when somebody joins, when the caller goes away, and before a lease is taken or a load
//! begun. So a caller that is polled once and then held holds nobody up.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

use crate::flight::registry::FlightFuture;
use crate::flight::waiter::{Joined, Joiner};

/// The caller who started a flight, waiting for its outcome. Dropping it hands the flight to a task.
pub(crate) struct InlineDriver {
    joiner: Joiner,
    /// Where it may be dropped there may be none to ask for.
    runtime: Handle,
}

impl InlineDriver {
    pub(crate) fn new(joiner: Joiner, course: FlightFuture) -> Self {
        joiner.attach(course);
        Self { joiner, runtime: Handle::current() }
    }
}

impl Future for InlineDriver {
    type Output = Joined;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Joined> {
        if let Some(course) = self.joiner.poll_inline(context) {
            self.runtime.spawn(course);
        }
        Pin::new(&mut self.joiner).poll(context)
    }
}

impl Drop for InlineDriver {
    fn drop(&mut self) {
        if let Some(course) = self.joiner.detach() {
            self.runtime.spawn(course);
        }
    }
}
