//! The flights under way, by key, with the progress of each.

use std::sync::Arc;
use std::task::Waker;

use futures_util::future::BoxFuture;
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::coherence::stamps::StampSnapshot;
use crate::entry::drops::Deferral;
use crate::flight::outcome::Outcome;
use crate::function::call_key::Key;
use crate::primitives::sync::{LockExt as _, Mutex, MutexGuard};

const STRIPES: usize = 1024;

/// The flights of a cache object.
#[derive(Debug)]
pub(crate) struct Flights {
    stripes: Box<[Mutex<Vec<Arc<Flight>>>]>,
}

impl Flights {
    pub(crate) fn new() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Mutex::default()).collect() }
    }

    /// Detaches all flights of the keys with this id. `and` runs under the same lock: no flight can store before it has
    /// ended.
    pub(crate) fn detach(&self, id: u64, and: impl FnOnce()) {
        let _values = Deferral::begin();
        let mut stripe = self.stripe(id);
        stripe.retain(|flight| flight.key.id() != id);
        and();
    }

    /// Detaches all flights.
    pub(crate) fn detach_all(&self) {
        for stripe in &self.stripes {
            stripe.lock_unpoisoned().clear();
        }
    }

    pub(super) fn stripe(&self, id: u64) -> MutexGuard<'_, Vec<Arc<Flight>>> {
        // In a cluster the low byte is the key's bucket, so these bits do not spread evenly.
        self.stripes[(id >> 8) as usize % STRIPES].lock_unpoisoned()
    }
}

/// The key's flight. Removes flights of the key whose stamps were voided since they began, which detaches them.
pub(super) fn current<'a>(stripe: &'a mut Vec<Arc<Flight>>, key: &Key) -> Option<&'a Arc<Flight>> {
    stripe.retain(|flight| *flight.key != *key || flight.seen.is_current());
    stripe.iter().find(|flight| flight.joinable && *flight.key == *key)
}

#[derive(Debug)]
pub(super) struct Flight {
    pub(super) key: Arc<Key>,
    /// The stamps as they were when the flight began.
    pub(super) seen: StampSnapshot,
    pub(super) joinable: bool,
    pub(super) progress: Mutex<Progress>,
}

#[derive(Default)]
pub(super) struct Progress {
    pub(super) loading: bool,
    pub(super) ends_by: Option<Instant>,
    pub(super) others: bool,
    /// A load waits for this flight, and may hold the permit that this flight waits for.
    pub(super) hurried: bool,
    pub(super) leader: Option<Waker>,
    pub(super) driver: Driver,
    pub(super) ended: Option<Ended>,
    /// Most flights have one waiter.
    pub(super) wakers: SmallVec<[Option<Waker>; 1]>,
}

/// The course of a flight, as a future.
pub(crate) type FlightFuture = BoxFuture<'static, ()>;

/// What polls the future of a flight. The transitions are in `inline.rs`.
#[derive(Default)]
pub(super) enum Driver {
    /// A task, or the leader itself.
    #[default]
    Task,
    /// The caller that started it. The future is here between two of its polls.
    Caller(Option<FlightFuture>),
    /// The caller, until its current poll ends: the future has asked for a task.
    HandOver,
}

#[derive(Clone)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) fenced: bool,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").field("loading", &self.loading).field("ended", &self.ended.is_some()).finish()
    }
}

impl Flight {
    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock_unpoisoned()
    }
}
