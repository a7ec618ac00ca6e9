//! One load per key in this process.
//!
//! Whoever misses a key either leads its flight or joins the one under way. An invalidation *detaches* the flight:
//! those who joined before may still get its result, but it can no longer store it, and later callers start a new one.
//! Storing in memory, detaching and joining happen under one lock per stripe of keys, so that no result is stored after
//! the invalidation that detached its flight has returned.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::BoxFuture;
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::function::Key;
use crate::outcome::Outcome;
use crate::stamps::Seen;
use crate::sync::{Mutex, MutexGuard};

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

    /// Starts a flight unless there is one.
    pub(crate) fn lead(self: &Arc<Self>, key: &Arc<Key>, seen: Seen) -> Option<Leader> {
        let mut stripe = self.stripe(key.id());
        match current(&mut stripe, key) {
            Some(_) => None,
            None => Some(self.start(key, seen, &mut stripe)),
        }
    }

    /// Starts a flight whether or not one is under way, which is then detached: its result is older than this one's.
    pub(crate) fn supersede(self: &Arc<Self>, key: &Arc<Key>, seen: Seen) -> Leader {
        let mut stripe = self.stripe(key.id());
        stripe.retain(|flight| *flight.key != **key);
        self.start(key, seen, &mut stripe)
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

/// Owned by the task that runs the flight. Dropped without an outcome (its runtime is gone), it sends the others on.
#[derive(Debug)]
pub(crate) struct Leader {
    flights: Arc<Flights>,
    flight: Arc<Flight>,
}

impl Leader {
    pub(crate) fn key(&self) -> &Arc<Key> {
        &self.flight.key
    }

    pub(crate) fn seen(&self) -> &Seen {
        &self.flight.seen
    }

    /// The wait of the caller who started the flight.
    pub(crate) fn caller(&self) -> Joiner {
        Joiner { flight: self.flight.clone(), late: false, started: true, waker: None }
    }

    /// Waits until a task drives the flight: what follows must go on whatever becomes of the caller.
    pub(crate) async fn in_a_task(&self) {
        poll_fn(|_| {
            let mut progress = self.flight.progress();
            if matches!(progress.driver, Driver::Task) {
                return Poll::Ready(());
            }
            // The caller sees to it when this poll has ended.
            progress.driver = Driver::Leaving;
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
        let stripe = self.flights.stripe(self.flight.key.id());
        let attached = stripe.iter().any(|flight| Arc::ptr_eq(flight, &self.flight));
        if attached {
            store();
        }
        attached
    }

    /// Stores, unless it was detached, and detaches whatever else is under way: that may have read what this replaces.
    pub(crate) fn replace(self, store: impl FnOnce()) -> bool {
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

/// What a joiner gets.
pub(crate) enum Joined {
    Outcome(Outcome),
    /// The flight's result is not for this caller: look again.
    Retry,
}

/// Waits for a flight's outcome.
#[derive(Debug)]
pub(crate) struct Joiner {
    flight: Arc<Flight>,
    /// Joined after the load had begun.
    late: bool,
    /// The caller who started the flight.
    started: bool,
    waker: Option<usize>,
}

impl Joiner {
    fn new(flight: Arc<Flight>) -> Self {
        let late = {
            let mut progress = flight.progress();
            progress.others = true;
            progress.loading
        };
        Self { flight, late, started: false, waker: None }
    }

    /// Says that the flight must not wait for other loads to end: one of them waits for it.
    pub(crate) fn hurry(&self) {
        let leader = {
            let mut progress = self.flight.progress();
            progress.hurried = true;
            progress.leader.take()
        };
        leader.into_iter().for_each(Waker::wake);
    }

    /// For the caller who started the flight: `course` is what it does, for [`Self::drive`].
    pub(crate) fn embark(&self, course: Course) {
        self.flight.progress().driver = Driver::Caller(Some(course));
    }

    /// For the same caller, before each [poll](Future::poll): drives the flight as long as nobody else waits for it. What it
    /// returns is for a task.
    pub(crate) fn drive(&self, context: &mut Context<'_>) -> Option<Course> {
        let mut course = self.take_course()?;
        if course.as_mut().poll(context).is_ready() {
            return None;
        }
        let mut progress = self.flight.progress();
        if matches!(progress.driver, Driver::Caller(_)) && !progress.others {
            progress.driver = Driver::Caller(Some(course));
            return None;
        }
        progress.driver = Driver::Task;
        Some(course)
    }

    fn take_course(&self) -> Option<Course> {
        let mut progress = self.flight.progress();
        let Driver::Caller(course) = &mut progress.driver else { return None };
        let course = course.take();
        if let Some(place) = self.waker {
            // Whoever ends the flight need not wake itself.
            progress.wakers[place] = None;
        }
        course
    }

    /// Takes the flight from a caller who may never drive it again. What it returns is for a task.
    pub(crate) fn take_over(&self) -> Option<Course> {
        let mut progress = self.flight.progress();
        let Driver::Caller(course) = &mut progress.driver else { return None };
        // Where it is being polled, the caller sees in a moment that there are others.
        let course = course.take()?;
        progress.driver = Driver::Task;
        Some(course)
    }

    /// When the load that is running will have ended, if that is known.
    pub(crate) fn ends_by(&self) -> Option<Instant> {
        self.flight.progress().ends_by
    }
}

impl Future for Joiner {
    type Output = Joined;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Joined> {
        let this = &mut *self;
        let mut progress = this.flight.progress();
        match &progress.ended {
            Some(Ended { fenced: true, .. }) if this.late => Poll::Ready(Joined::Retry),
            Some(Ended { outcome: Outcome::Abandoned, .. }) if !this.started => Poll::Ready(Joined::Retry),
            Some(ended) => Poll::Ready(Joined::Outcome(ended.outcome.clone())),
            None => {
                let waker = Some(context.waker().clone());
                match this.waker {
                    Some(place) => progress.wakers[place] = waker,
                    None => {
                        this.waker = Some(progress.wakers.len());
                        progress.wakers.push(waker);
                    }
                }
                Poll::Pending
            }
        }
    }
}

impl Drop for Joiner {
    fn drop(&mut self) {
        if let Some(place) = self.waker
            && let Some(waker) = self.flight.progress().wakers.get_mut(place)
        {
            *waker = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::cache::HybridCache;
    use crate::function::{Instance, Site};
    use crate::key::KeyBuf;

    static SITE: Site = Site::named("flight", 0);

    fn key(args: &str) -> Arc<Key> {
        thread_local! {
            static CACHE: HybridCache = HybridCache::fallback();
        }
        let instance = Instance { site: &SITE, receiver: None, generics: &[] };
        let mut key = KeyBuf::new();
        key.text(args);
        CACHE.with(|cache| cache.key(&cache.lookup(&instance, &key)))
    }

    fn lead(flights: &Arc<Flights>, key: &Arc<Key>) -> Leader {
        match flights.claim(key, Seen::default) {
            Claim::Lead(leader) => leader,
            Claim::Join(_) => panic!("somebody leads already"),
        }
    }

    fn join(flights: &Arc<Flights>, key: &Arc<Key>) -> Joiner {
        match flights.claim(key, Seen::default) {
            Claim::Join(joiner) => joiner,
            Claim::Lead(_) => panic!("nobody leads"),
        }
    }

    fn ended(joiner: Joiner) -> Option<Joined> {
        joiner.now_or_never()
    }

    #[test]
    fn the_second_joins_and_gets_the_outcome() {
        let (flights, key) = (Arc::new(Flights::new()), key("1"));
        let leader = lead(&flights, &key);
        let joiner = join(&flights, &key);
        leader.finish(|others| {
            assert!(others);
            Outcome::TimedOut
        });
        assert!(matches!(ended(joiner), Some(Joined::Outcome(Outcome::TimedOut))));
        lead(&flights, &key).finish(|others| {
            assert!(!others);
            Outcome::TimedOut
        });
    }

    /// Killed by: `detach` leaving the flight in its stripe; `store` not looking whether it is there.
    #[test]
    fn a_detached_flight_stores_nothing_and_is_not_joined() {
        let (flights, key) = (Arc::new(Flights::new()), key("2"));
        let old = lead(&flights, &key);
        flights.detach(key.id(), || {});
        let new = lead(&flights, &key);
        assert!(!old.store(|| panic!("stored")));
        old.finish(|_| Outcome::TimedOut);
        assert!(new.store(|| {}), "the end of the old flight leaves the new one alone");
        join(&flights, &key);
    }

    /// Killed by: `finish_fenced` ending as `finish` does.
    #[test]
    fn who_joined_a_fenced_flight_after_its_load_began_looks_again() {
        let (flights, key) = (Arc::new(Flights::new()), key("3"));
        let leader = lead(&flights, &key);
        let early = join(&flights, &key);
        leader.begin_load(None);
        let late = join(&flights, &key);
        let caller = leader.caller();
        leader.finish_fenced(Outcome::TimedOut);
        assert!(matches!(ended(early), Some(Joined::Outcome(_))));
        assert!(matches!(ended(late), Some(Joined::Retry)));
        assert!(matches!(ended(caller), Some(Joined::Outcome(_))));
    }

    /// Killed by: no `Drop` for `Leader`.
    #[test]
    fn a_leader_that_is_dropped_hangs_nobody() {
        let (flights, key) = (Arc::new(Flights::new()), key("4"));
        let leader = lead(&flights, &key);
        let joiner = join(&flights, &key);
        drop(leader);
        assert!(matches!(ended(joiner), Some(Joined::Retry)));
        lead(&flights, &key);
    }

    /// Killed by: leaving one; clearing one stripe only.
    #[test]
    fn all_flights_can_be_detached() {
        let flights = Arc::new(Flights::new());
        let keys: Vec<_> = (0..32).map(|args| key(&format!("all{args}"))).collect();
        let old: Vec<_> = keys.iter().map(|key| lead(&flights, key)).collect();
        flights.detach_all();
        for (old, key) in old.into_iter().zip(&keys) {
            assert!(!old.store(|| panic!("stored")));
            lead(&flights, key);
        }
    }

    #[test]
    fn a_superseded_flight_is_detached() {
        let (flights, key) = (Arc::new(Flights::new()), key("5"));
        let old = lead(&flights, &key);
        let new = flights.supersede(&key, Seen::default());
        assert!(!old.store(|| ()));
        assert!(new.store(|| ()));
        let alone = flights.solo(&key);
        assert!(!alone.store(|| ()));
    }

    /// What is stored by hand. Killed by: a reserved flight that can be joined; `replace` leaving others attached, or storing
    /// after an invalidation.
    #[test]
    fn a_reserved_place_is_not_joined_and_goes_with_an_invalidation() {
        let (flights, key) = (Arc::new(Flights::new()), key("7"));
        let place = flights.reserve(&key, Seen::default());
        let other = lead(&flights, &key);
        let mut stored = false;
        assert!(place.replace(|| stored = true) && stored);
        assert!(!other.store(|| panic!("it may have read what was replaced")));
        let place = flights.reserve(&key, Seen::default());
        let other = lead(&flights, &key);
        flights.detach(key.id(), || {});
        assert!(!place.replace(|| panic!("it is older than the invalidation")));
        drop(other);
        lead(&flights, &key);
    }

    #[test]
    fn wakers_are_kept_for_those_who_still_wait() {
        let (flights, key) = (Arc::new(Flights::new()), key("6"));
        let leader = lead(&flights, &key);
        let (mut gone, mut stays) = (join(&flights, &key), join(&flights, &key));
        assert!((&mut gone).now_or_never().is_none());
        assert!((&mut stays).now_or_never().is_none());
        drop(gone);
        assert_eq!(leader.flight.progress().wakers.iter().flatten().count(), 1);
        leader.finish(|_| Outcome::TimedOut);
        assert!(ended(stays).is_some());
    }

    /// Killed by: a hurry that only wakes who waits for it by then.
    #[test]
    fn a_hurry_counts_before_and_after_somebody_waits_for_it() {
        let flights = Arc::new(Flights::new());
        let (early, late) = (key("1"), key("2"));
        let leader = lead(&flights, &early);
        join(&flights, &early).hurry();
        assert!(leader.hurried().now_or_never().is_some());

        let leader = lead(&flights, &late);
        let joiner = join(&flights, &late);
        let mut waiting = Box::pin(leader.hurried());
        assert!(waiting.as_mut().now_or_never().is_none());
        joiner.hurry();
        assert!(waiting.as_mut().now_or_never().is_some());
    }
}
