use futures_util::FutureExt;

use super::*;
use crate::cache::HybridCache;
use crate::flight::outcome::Outcome;
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
    match flights.claim(key, StampSnapshot::default) {
        Claim::Lead(leader) => leader,
        Claim::Join(_) => panic!("somebody leads already"),
    }
}

fn join(flights: &Arc<Flights>, key: &Arc<Key>) -> Joiner {
    match flights.claim(key, StampSnapshot::default) {
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
    let caller = leader.starter();
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
    let new = flights.supersede(&key, StampSnapshot::default);
    assert!(!old.store(|| ()));
    assert!(new.store(|| ()));
    let alone = flights.solo(&key);
    assert!(!alone.store(|| ()));
}

/// For puts. Killed by: a reserved flight that can be joined; `replace` leaving others attached, or storing after an
/// invalidation.
#[test]
fn a_reserved_place_is_not_joined_and_goes_with_an_invalidation() {
    let (flights, key) = (Arc::new(Flights::new()), key("7"));
    let place = flights.reserve(&key, StampSnapshot::default());
    let other = lead(&flights, &key);
    let mut stored = false;
    assert!(place.replace(|| stored = true) && stored);
    assert!(!other.store(|| panic!("it may have read what was replaced")));
    let place = flights.reserve(&key, StampSnapshot::default());
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
