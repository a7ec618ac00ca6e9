//! The flights under way, by key, and what each has come to.

use std::sync::Arc;
use std::task::Waker;

use futures_util::future::BoxFuture;
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::coherence::stamps::StampSnapshot;
use crate::entry::drops::Deferral;
use crate::flight::outcome::Outcome;
use crate::function::call_key::Key;
use crate::primitives::sync::LockExt as _;
use crate::primitives::sync::{Mutex, MutexGuard};

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

    /// Detaches all flights of the keys with this id, and does what else must not be interleaved with a store.
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
        // The low byte is the bucket of the key in a cluster: others spread better.
        self.stripes[(id >> 8) as usize % STRIPES].lock_unpoisoned()
    }
}

/// The key's flight. One whose stamps were voided since it began is detached.
pub(super) fn current<'a>(stripe: &'a mut Vec<Arc<Flight>>, key: &Key) -> Option<&'a Arc<Flight>> {
    stripe.retain(|flight| *flight.key != *key || flight.seen.is_current());
    stripe.iter().find(|flight| flight.joinable && *flight.key == *key)
}

#[derive(Debug)]
pub(super) struct Flight {
    pub(super) key: Arc<Key>,
    /// The stamps that stood when it began.
    pub(super) seen: StampSnapshot,
    pub(super) joinable: bool,
    pub(super) progress: Mutex<Progress>,
}

#[derive(Default)]
pub(super) struct Progress {
    pub(super) loading: bool,
    pub(super) ends_by: Option<Instant>,
    pub(super) others: bool,
    /// Somebody waits for this flight who holds what it may itself be waiting for.
    pub(super) hurried: bool,
    pub(super) leader: Option<Waker>,
    pub(super) driver: Driver,
    pub(super) ended: Option<Ended>,
    /// Most flights have one.
    pub(super) wakers: SmallVec<[Option<Waker>; 1]>,
}

/// What a flight does, as a future.
pub(crate) type FlightFuture = BoxFuture<'static, ()>;

/// Who polls a flight's course.
#[derive(Default)]
pub(super) enum Driver {
    /// A task.
    #[default]
    Task,
    /// The caller who started it; the course is here between two polls.
    Caller(Option<FlightFuture>),
    /// The caller until this poll ends: the course wants a task.
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
