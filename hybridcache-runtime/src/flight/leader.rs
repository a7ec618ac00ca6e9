//! Who runs a flight.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use super::registry::{Driver, Ended, Flight, Flights};
use super::waiter::Joiner;
use crate::coherence::stamps::StampSnapshot;
use crate::entry::drops::Deferral;
use crate::flight::outcome::Outcome;
use crate::function::call_key::Key;

/// Owned by the task that runs the flight. Dropped without an outcome (its runtime is gone), it sends the others on.
#[derive(Debug)]
pub(crate) struct Leader {
    pub(super) flights: Arc<Flights>,
    pub(super) flight: Arc<Flight>,
}

impl Leader {
    pub(crate) fn key(&self) -> &Arc<Key> {
        &self.flight.key
    }

    pub(crate) fn stamps(&self) -> &StampSnapshot {
        &self.flight.seen
    }

    /// The wait of the caller who started the flight.
    pub(crate) fn starter(&self) -> Joiner {
        Joiner::of_starter(self.flight.clone())
    }

    /// Waits until a task drives the flight: what follows must go on whatever becomes of the caller.
    pub(crate) async fn ensure_spawned(&self) {
        poll_fn(|_| {
            let mut progress = self.flight.progress();
            if matches!(progress.driver, Driver::Task) {
                return Poll::Ready(());
            }
            // The caller sees to it when this poll has ended.
            progress.driver = Driver::HandOver;
            Poll::Pending
        })
        .await;
    }

    /// From here on the load may see less than what is invalidated meanwhile. `timeout`: it will end by then.
    pub(crate) fn begin_load(&self, timeout: Option<Duration>) {
        let mut progress = self.flight.progress();
        progress.loading = true;
        progress.ends_by = timeout.map(|timeout| Instant::now() + timeout);
    }

    /// Waits until somebody is in a [hurry](Joiner::hurry).
    pub(crate) async fn hurried(&self) {
        poll_fn(|context| {
            let mut progress = self.flight.progress();
            if progress.hurried {
                return Poll::Ready(());
            }
            progress.leader = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Stores, unless the flight was detached.
    pub(crate) fn store(&self, store: impl FnOnce()) -> bool {
        let _values = Deferral::begin();
        let stripe = self.flights.stripe(self.flight.key.id());
        let attached = stripe.iter().any(|flight| Arc::ptr_eq(flight, &self.flight));
        if attached {
            store();
        }
        attached
    }

    /// Stores, unless it was detached, and detaches whatever else is under way: that may have read what this replaces.
    pub(crate) fn replace(self, store: impl FnOnce()) -> bool {
        let _values = Deferral::begin();
        let mut stripe = self.flights.stripe(self.flight.key.id());
        let attached = stripe.iter().any(|flight| Arc::ptr_eq(flight, &self.flight));
        if attached {
            stripe.retain(|flight| flight.key.id() != self.flight.key.id());
            store();
        }
        attached
    }

    /// Hands the outcome to everybody. It is made when nobody can join any more, from whether anybody has.
    pub(crate) fn finish(&self, outcome: impl FnOnce(bool) -> Outcome) {
        self.end(outcome, false);
    }

    /// The load was overtaken by an invalidation in another process: who joined after it began may have begun after the
    /// invalidation, and must look again.
    pub(crate) fn finish_fenced(&self, outcome: Outcome) {
        self.end(|_| outcome, true);
    }

    fn end(&self, outcome: impl FnOnce(bool) -> Outcome, fenced: bool) {
        self.flights.stripe(self.flight.key.id()).retain(|flight| !Arc::ptr_eq(flight, &self.flight));
        let others = self.flight.progress().others;
        let ended = Ended { outcome: outcome(others), fenced };
        let wakers = {
            let mut progress = self.flight.progress();
            if progress.ended.is_some() {
                return;
            }
            progress.ended = Some(ended);
            std::mem::take(&mut progress.wakers)
        };
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if self.flight.progress().ended.is_none() {
            self.end(|_| Outcome::Abandoned, false);
        }
    }
}
