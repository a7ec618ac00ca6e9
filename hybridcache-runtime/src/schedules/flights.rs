//! Loads against invalidations, joiners and each other.

use std::sync::Arc;

use shuttle::future::block_on;
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::thread::spawn;

use super::{World, explore, version};
use crate::flight::{Claim, Joined};
use crate::outcome::Outcome;
use crate::remote::{Invalidation, Listener};

fn forgets(invalidate: fn(&World)) {
    let world = World::new();
    let callers: Vec<_> = (0..2).map(|_| world.clone()).map(|world| spawn(move || world.call())).collect();
    world.write(1);
    invalidate(&world);
    assert_ne!(world.hit(), Some(0), "a hit");
    assert_eq!(world.call(), 1, "a call");
    callers.into_iter().for_each(|caller| assert!(caller.join().unwrap() <= 1));
    assert_ne!(world.hit(), Some(0), "a hit when all have ended");
}

/// Killed by: `detach` leaving the flight in its stripe; `store` not looking whether it is there, or storing when it has
/// let go of the stripe; `detach` doing the rest when it has let go of it; `end` removing the key's flight, whoever leads
/// it.
#[test]
fn after_an_invalidation_nothing_older_is_stored_and_no_older_flight_is_joined() {
    explore(|| forgets(|world| world.local.invalidate(&world.key, Invalidation::Delete)));
}

/// Killed by: `invalidated` without `detach`.
#[test]
fn after_a_message_nothing_older_is_stored_and_no_older_flight_is_joined() {
    explore(|| forgets(|world| world.local.invalidated(world.key.id(), Invalidation::Delete, 7)));
}

/// What was sent between the two subscriptions is lost. Killed by: the epoch captured after the load; `resubscribed`
/// leaving flights that can be joined.
#[test]
fn after_a_gap_nothing_older_is_trusted_and_no_older_flight_is_joined() {
    explore(|| forgets(|world| world.local.resubscribed()));
}

/// Killed by: `claim` letting go of the stripe before the flight stands in it.
#[test]
fn one_load_at_a_time_and_everybody_gets_its_value() {
    explore(|| {
        let (world, loads) = (World::new(), Arc::new(AtomicU64::new(0)));
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let (world, loads) = (world.clone(), loads.clone());
                spawn(move || match world.local.flights.claim(&world.key, &world.seen()) {
                    Claim::Lead(leader) => {
                        assert_eq!(loads.fetch_add(1, Ordering::SeqCst), 0, "another load runs");
                        shuttle::thread::yield_now();
                        loads.fetch_sub(1, Ordering::SeqCst);
                        world.load(leader, &world.seen())
                    }
                    Claim::Join(_) => world.call(),
                })
            })
            .collect();
        callers.into_iter().for_each(|caller| assert_eq!(caller.join().unwrap(), 0));
    });
}

/// A joiner that is not woken would be a deadlock, which shuttle finds. Killed by: `end` taking the wakers before it says
/// that it has ended; a joiner leaving its waker without looking once more; no `Drop` for `Leader`.
#[test]
fn whoever_joins_is_answered_also_where_the_leader_is_dropped() {
    explore(|| {
        let world = World::new();
        let leader = world.local.flights.lead(&world.key, world.seen()).unwrap();
        let callers: Vec<_> = (0..2).map(|_| world.clone()).map(|world| spawn(move || world.call())).collect();
        drop(leader);
        callers.into_iter().for_each(|caller| assert_eq!(caller.join().unwrap(), 0));
    });
}

/// Killed by: `end` not keeping wakers in their places.
#[test]
fn a_joiner_that_goes_away_takes_nobody_elses_place() {
    explore(|| {
        let world = World::new();
        let leader = world.local.flights.lead(&world.key, world.seen()).unwrap();
        let impatient = world.clone();
        let impatient = spawn(move || {
            if let Claim::Join(mut joiner) = impatient.local.flights.claim(&impatient.key, &impatient.seen()) {
                let _ = futures_util::FutureExt::now_or_never(&mut joiner);
            }
        });
        let patient = world.clone();
        let patient = spawn(move || patient.call());
        world.load(leader, &world.seen());
        impatient.join().unwrap();
        assert_eq!(patient.join().unwrap(), 0);
    });
}

/// Killed by: `finish_fenced` ending as `finish` does; `Joiner::new` reading whether the load has begun when it has let go
/// of the stripe (then the load can begin in between; harmless alone); `begin_load` after the load.
#[test]
fn who_joins_a_load_after_it_was_fenced_off_looks_again() {
    explore(|| {
        let world = World::new();
        let seen = world.seen();
        let leader = world.local.flights.lead(&world.key, seen.clone()).unwrap();
        let loading = world.clone();
        let loading = spawn(move || {
            leader.begin_load(None);
            let entry = loading.entry(loading.database.load(Ordering::SeqCst), &seen, 0);
            // Another process invalidates at any time: the load is fenced off if that is after its beginning.
            leader.finish_fenced(Outcome::Value(entry));
        });
        world.write(1);
        assert!(joins(&world).is_none_or(|version| version == 1));
        loading.join().unwrap();
    });
}

fn joins(world: &World) -> Option<u64> {
    match world.local.flights.claim(&world.key, &world.seen()) {
        Claim::Lead(_) => None,
        Claim::Join(joiner) => match block_on(joiner) {
            Joined::Outcome(Outcome::Value(entry)) => Some(version(&entry)),
            _ => None,
        },
    }
}

/// Killed by: `supersede` leaving the older flight.
#[test]
fn what_supersedes_a_flight_has_the_last_word() {
    explore(|| {
        let world = World::new();
        let seen = world.seen();
        let older = world.local.flights.lead(&world.key, seen.clone()).unwrap();
        let loading = world.clone();
        let loading = spawn(move || loading.load(older, &seen));
        world.write(1);
        let seen = world.seen();
        let newer = world.local.flights.supersede(&world.key, seen.clone());
        assert_eq!(world.load(newer, &seen), 1);
        loading.join().unwrap();
        assert_eq!(world.hit(), Some(1));
    });
}

/// Killed by: `admit` outside of `store`; `store` storing although the flight was detached.
#[test]
fn a_suspect_is_not_trusted_again_when_it_was_invalidated_since_the_shared_tier_was_asked() {
    explore(|| {
        let world = World::new();
        let (shared, seen) = (Arc::new(AtomicU64::new(0)), world.seen());
        let suspect = world.entry(0, &seen, world.local.trust.epoch());
        world.local.memory.insert(suspect.clone());
        world.local.resubscribed();
        let leader = world.local.flights.lead(&world.key, seen).unwrap();
        let (verifying, head) = (world.clone(), shared.clone());
        let verifying = spawn(move || {
            let epoch = verifying.local.trust.epoch();
            if head.load(Ordering::SeqCst) == 0 {
                leader.store(|| verifying.local.admit(&suspect, epoch, super::NOW));
            }
            leader.finish(|_| Outcome::Value(suspect));
        });
        shared.store(1, Ordering::SeqCst);
        world.local.invalidated(world.key.id(), Invalidation::Delete, 7);
        assert_eq!(world.hit(), None);
        verifying.join().unwrap();
        assert_eq!(world.hit(), None);
    });
}
