//! One load per key in this process.
//!
//! Whoever misses a key either leads its flight or joins the one under way. An invalidation *detaches* the flight:
//! those who joined before may still get its result, but it can no longer store it, and later callers start a new one.
//! Storing in memory, detaching and joining happen under one lock per stripe of keys, so that no result is stored after
//! the invalidation that detached its flight has returned.

pub(crate) mod inline;
pub(crate) mod outcome;

mod leader;
#[cfg(test)]
mod tests;
mod waiter;

use std::sync::{Arc, PoisonError};
use std::task::Waker;

use futures_util::future::BoxFuture;
use smallvec::SmallVec;
use tokio::time::Instant;

pub(crate) use self::leader::Leader;
pub(crate) use self::waiter::{Joined, Joiner};
use crate::coherence::stamps::Seen;
use crate::flight::outcome::Outcome;
use crate::function::call_key::Key;
use crate::primitives::sync::{Mutex, MutexGuard};

const STRIPES: usize = 1024;

/// The flights of a cache object.
#[derive(Debug)]
pub(crate) struct Flights {
    stripes: Box<[Mutex<Vec<Arc<Flight>>>]>,
}

/// What a caller who missed is to do.
#[derive(Debug)]
pub(crate) enum Claim {
    /// Nobody loads: run the flight.
    Lead(Leader),
    /// Somebody does.
    Join(Joiner),
}

impl Flights {
    pub(crate) fn new() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Mutex::default()).collect() }
    }

    /// Joins the key's flight, or starts one. A flight that began before one of its stamps was voided is none to join.
    pub(crate) fn claim(self: &Arc<Self>, key: &Arc<Key>, seen: impl FnOnce() -> Seen) -> Claim {
        let mut stripe = self.stripe(key.id());
        match current(&mut stripe, key) {
            Some(flight) => Claim::Join(Joiner::new(flight.clone())),
            None => Claim::Lead(self.start(key, seen(), &mut stripe)),
        }
    }

    /// Starts a flight unless there is one. The stamps are captured under the lock: a gap in the messages that is noticed before
    /// detaches the flight, or is seen by the capture.
    pub(crate) fn lead(self: &Arc<Self>, key: &Arc<Key>, seen: impl FnOnce() -> Seen) -> Option<Leader> {
        let mut stripe = self.stripe(key.id());
        match current(&mut stripe, key) {
            Some(_) => None,
            None => Some(self.start(key, seen(), &mut stripe)),
        }
    }

    /// Starts a flight whether or not one is under way, which is then detached: its result is older than this one's.
    pub(crate) fn supersede(self: &Arc<Self>, key: &Arc<Key>, seen: impl FnOnce() -> Seen) -> Leader {
        let mut stripe = self.stripe(key.id());
        stripe.retain(|flight| *flight.key != **key);
        self.start(key, seen(), &mut stripe)
    }

    /// Holds the place of a value that is stored by hand, beside whatever is under way. Nobody can join it.
    pub(crate) fn reserve(self: &Arc<Self>, key: &Arc<Key>, seen: Seen) -> Leader {
        let flight = Arc::new(Flight { key: key.clone(), seen, joinable: false, progress: Mutex::default() });
        self.stripe(key.id()).push(flight.clone());
        Leader { flights: self.clone(), flight }
    }

    /// A flight that nobody can join and that stores nothing.
    pub(crate) fn solo(self: &Arc<Self>, key: &Arc<Key>) -> Leader {
        self.start(key, Seen::default(), &mut Vec::new())
    }

    fn start(self: &Arc<Self>, key: &Arc<Key>, seen: Seen, stripe: &mut Vec<Arc<Flight>>) -> Leader {
        let flight = Arc::new(Flight { key: key.clone(), seen, joinable: true, progress: Mutex::default() });
        stripe.push(flight.clone());
        Leader { flights: self.clone(), flight }
    }

    /// Detaches all flights of the keys with this id, and does what else must not be interleaved with a store.
    pub(crate) fn detach(&self, id: u64, and: impl FnOnce()) {
        let mut stripe = self.stripe(id);
        stripe.retain(|flight| flight.key.id() != id);
        and();
    }

    /// Detaches all flights.
    pub(crate) fn detach_all(&self) {
        for stripe in &self.stripes {
            stripe.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    fn stripe(&self, id: u64) -> MutexGuard<'_, Vec<Arc<Flight>>> {
        // The low byte is the bucket of the key in a cluster: others spread better.
        self.stripes[(id >> 8) as usize % STRIPES].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key's flight. One whose stamps were voided since it began is detached.
fn current<'a>(stripe: &'a mut Vec<Arc<Flight>>, key: &Key) -> Option<&'a Arc<Flight>> {
    stripe.retain(|flight| *flight.key != *key || flight.seen.is_current());
    stripe.iter().find(|flight| flight.joinable && *flight.key == *key)
}

#[derive(Debug)]
struct Flight {
    key: Arc<Key>,
    /// The stamps that stood when it began.
    seen: Seen,
    joinable: bool,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    loading: bool,
    ends_by: Option<Instant>,
    others: bool,
    /// Somebody waits for this flight who holds what it may itself be waiting for.
    hurried: bool,
    leader: Option<Waker>,
    driver: Driver,
    ended: Option<Ended>,
    /// Most flights have one.
    wakers: SmallVec<[Option<Waker>; 1]>,
}

/// What a flight does, as a future.
pub(crate) type Course = BoxFuture<'static, ()>;

/// Who polls a flight's course.
#[derive(Default)]
enum Driver {
    /// A task.
    #[default]
    Task,
    /// The caller who started it; the course is here between two polls.
    Caller(Option<Course>),
    /// The caller until this poll ends: the course wants a task.
    Leaving,
}

#[derive(Clone)]
struct Ended {
    outcome: Outcome,
    fenced: bool,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").field("loading", &self.loading).field("ended", &self.ended.is_some()).finish()
    }
}

impl Flight {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
