//! Lets the caller that started a flight drive it, so that a hit in the shared tier costs no task.
//!
//! The caller polls the flight as part of its own future. A task takes over in three cases: another call joins, the
//! caller is dropped, or the flight is about to take a lease or to load. So a caller that is polled once and then never
//! again blocks no other caller.
//!
//! The states are those of `Driver` (`registry.rs`), under the lock of the flight's `Progress`:
//!
//! - `Task`: a task drives the flight. Every flight begins so, and this state is final after `attach`.
//! - `Caller(Some(future))`: the caller drives it; the future is stored here between two of its polls.
//! - `Caller(None)`: the caller is polling the future now, or the flight has ended.
//! - `HandOver`: the future has asked for a task (`ensure_spawned`) during the caller's poll.
//!
//! ```text
//! Task          attach                                  -> Caller(Some)
//! Caller(Some)  the caller polls: poll_inline           -> Caller(None)
//! Caller(None)  pending, and no call has joined         -> Caller(Some)
//! Caller(None)  pending, and a call has joined          -> Task, spawned
//! Caller(None)  ready                                   -> Caller(None), for good
//! Caller(None)  the future needs a task: ensure_spawned -> HandOver
//! HandOver      that poll of the caller ends            -> Task, spawned
//! Caller(Some)  a joiner waits: detach                  -> Task, spawned
//! Caller(Some)  the caller is dropped: detach           -> Task, spawned
//! ```
//!
//! Race: a call joins while the caller polls. Its `detach` finds `Caller(None)` and does nothing. It has set `others`
//! before, under the same lock, so the caller sees that when its poll ends, and spawns the task.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

use crate::flight::registry::FlightFuture;
use crate::flight::waiter::{Joined, Joiner};

/// The caller that started a flight, as it waits for the outcome. Dropping it hands the flight to a task.
pub(crate) struct InlineDriver {
    joiner: Joiner,
    /// Captured at the start: the thread that drops this may have no runtime.
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
