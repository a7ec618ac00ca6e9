//! The right to run a flight.

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

/// Owned by the future that runs the flight. Dropped without an outcome (the runtime was shut down, say), it makes the
/// waiters retry.
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

    /// The waiter for the caller that started the flight.
    pub(crate) fn starter(&self) -> Joiner {
        Joiner::of_starter(self.flight.clone())
    }

    /// Waits until a task drives the flight: what follows must go on even if the caller is dropped.
    pub(crate) async fn ensure_spawned(&self) {
        poll_fn(|_| {
            let mut progress = self.flight.progress();
            if matches!(progress.driver, Driver::Task) {
                return Poll::Ready(());
            }
            // No waker is stored: the caller spawns the future when this poll has ended, and a new task is polled at
            // once.
            progress.driver = Driver::HandOver;
            Poll::Pending
        })
        .await;
    }

    /// Marks the load as begun: a later joiner may have called after an invalidation that this load does not see.
    /// `timeout`: how long the load takes at most.
    pub(crate) fn begin_load(&self, timeout: Option<Duration>) {
        let mut progress = self.flight.progress();
        progress.loading = true;
        progress.ends_by = timeout.map(|timeout| Instant::now() + timeout);
    }

    /// Waits until a joiner calls [`Joiner::hurry`].
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

    /// Stores, unless the flight was detached. The check and the store are one step under the stripe's lock, under
    /// which invalidations detach.
    pub(crate) fn store(&self, store: impl FnOnce()) -> bool {
        let _values = Deferral::begin();
        let stripe = self.flights.stripe(self.flight.key.id());
        let attached = stripe.iter().any(|flight| Arc::ptr_eq(flight, &self.flight));
        if attached {
            store();
        }
        attached
    }

    /// Stores, unless the flight was detached, and detaches all other flights of the key: they may have read the value
    /// that this one replaces.
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

    /// Makes way for another flight of the key, which no call can join before this one has ended: where this one is
    /// awaited, the callers find that one. `None`: another flight is under way.
    pub(crate) fn succeed(&self, seen: impl FnOnce() -> StampSnapshot) -> Option<Self> {
        let mut stripe = self.flights.stripe(self.flight.key.id());
        stripe.retain(|flight| !Arc::ptr_eq(flight, &self.flight));
        self.flights.lead_in(&mut stripe, &self.flight.key, seen)
    }

    /// For the load that runs: whether the flight is still attached.
    pub(crate) fn attachment(&self) -> Attachment {
        Attachment { flights: self.flights.clone(), flight: self.flight.clone() }
    }

    /// Hands the outcome to all waiters. `outcome` is called when no call can join any more; its argument is whether
    /// any call has.
    pub(crate) fn finish(&self, outcome: impl FnOnce(bool) -> Outcome) {
        self.end(outcome, false);
    }

    /// Ends a flight whose load was overtaken by an invalidation in another process. A call that joined after the load
    /// began may have been made after that invalidation, so it must look again.
    pub(crate) fn finish_fenced(&self, outcome: Outcome) {
        self.end(|_| outcome, true);
    }

    fn end(&self, outcome: impl FnOnce(bool) -> Outcome, fenced: bool) {
        // Out of the stripe first: from then on no call can join, and `others` is final.
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
        // Outside of the lock: a waker may run code of the runtime that polls the waiter.
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

/// Shows whether a flight was detached by an invalidation.
#[derive(Debug)]
pub(crate) struct Attachment {
    flights: Arc<Flights>,
    flight: Arc<Flight>,
}

impl Attachment {
    pub(crate) fn is_attached(&self) -> bool {
        let stripe = self.flights.stripe(self.flight.key.id());
        self.flight.seen.is_current() && stripe.iter().any(|flight| Arc::ptr_eq(flight, &self.flight))
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if self.flight.progress().ended.is_none() {
            self.end(|_| Outcome::Abandoned, false);
        }
    }
}
