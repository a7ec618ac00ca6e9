//! Loads against invalidations, joiners and each other.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use futures_util::FutureExt;
use shuttle::future::block_on;
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::thread::spawn;

use super::{World, explore, version};
use crate::flight::outcome::Outcome;
use crate::flight::registry::FlightFuture;
use crate::flight::{Claim, Joined, Joiner, Leader};
use crate::shared::{Invalidation, Listener};

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
/// let go of the stripe; `end` removing the key's flight, whoever leads it. (`detach` doing the rest when it has let go of
/// the stripe hangs the test.)
#[test]
fn after_an_invalidation_nothing_older_is_stored_and_no_older_flight_is_joined() {
    explore(|| forgets(|world| world.local.invalidate(&world.key, Invalidation::Delete)));
}

/// Killed by: `invalidated` without `detach`.
#[test]
fn after_a_message_nothing_older_is_stored_and_no_older_flight_is_joined() {
    explore(|| forgets(|world| world.local.invalidated(world.key.id(), Invalidation::Delete, 7)));
}

/// What was sent between the two subscriptions is lost. Killed by: `resubscribed` leaving flights that can be joined.
#[test]
fn after_a_gap_nothing_older_is_trusted_and_no_older_flight_is_joined() {
    explore(|| forgets(|world| world.local.resubscribed(false)));
}

/// Killed by: `claim` letting go of the stripe before the flight stands in it.
#[test]
fn one_load_at_a_time_and_everybody_gets_its_value() {
    explore(|| {
        let (world, loads) = (World::new(), Arc::new(AtomicU64::new(0)));
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let (world, loads) = (world.clone(), loads.clone());
                spawn(move || match world.local.flights.claim(&world.key, || world.capture_stamps()) {
                    Claim::Lead(leader) => {
                        assert_eq!(loads.fetch_add(1, Ordering::SeqCst), 0, "another load runs");
                        shuttle::thread::yield_now();
                        loads.fetch_sub(1, Ordering::SeqCst);
                        world.load(leader, &world.capture_stamps())
                    }
                    Claim::Join(_) => world.call(),
                })
            })
            .collect();
        callers.into_iter().for_each(|caller| assert_eq!(caller.join().unwrap(), 0));
    });
}

/// A call that missed on its first look, and comes to the claim when another call's flight has ended, finds that flight's value.
/// Killed by: looking into memory before the lock of the claim is taken.
#[test]
fn what_another_call_has_stored_is_not_loaded_again() {
    explore(|| {
        let world = World::new();
        let callers: Vec<_> = (0..3).map(|_| world.clone()).map(|world| spawn(move || world.call())).collect();
        callers.into_iter().for_each(|caller| assert_eq!(caller.join().unwrap(), 0));
        assert_eq!(world.loads.load(Ordering::SeqCst), 1);
    });
}

/// A joiner that is not woken would be a deadlock, which shuttle finds. Killed by: `end` taking the wakers before it says
/// that it has ended.
#[test]
fn whoever_joins_is_answered_also_where_the_leader_is_dropped() {
    explore(|| {
        let world = World::new();
        let leader = world.local.flights.lead(&world.key, || world.capture_stamps()).unwrap();
        let callers: Vec<_> = (0..2).map(|_| world.clone()).map(|world| spawn(move || world.call())).collect();
        drop(leader);
        callers.into_iter().for_each(|caller| assert_eq!(caller.join().unwrap(), 0));
    });
}

/// Killed by: `Joiner` moving the wakers behind its own; no `Drop` for `Leader`.
#[test]
fn a_joiner_that_goes_away_takes_nobody_elses_place() {
    explore(|| {
        let world = World::new();
        let leader = world.local.flights.lead(&world.key, || world.capture_stamps()).unwrap();
        let impatient = world.clone();
        let impatient = spawn(move || {
            if let Claim::Join(mut joiner) =
                impatient.local.flights.claim(&impatient.key, || impatient.capture_stamps())
            {
                let _ = futures_util::FutureExt::now_or_never(&mut joiner);
            }
        });
        let patient = world.clone();
        let patient = spawn(move || patient.call());
        world.load(leader, &world.capture_stamps());
        impatient.join().unwrap();
        assert_eq!(patient.join().unwrap(), 0);
    });
}

/// Killed by: `finish_fenced` ending as `finish` does.
#[test]
fn who_joins_a_load_after_it_was_fenced_off_looks_again() {
    explore(|| {
        let world = World::new();
        let seen = world.capture_stamps();
        let leader = world.local.flights.lead(&world.key, || seen.clone()).unwrap();
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
    match world.local.flights.claim(&world.key, || world.capture_stamps()) {
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
        let seen = world.capture_stamps();
        let older = world.local.flights.lead(&world.key, || seen.clone()).unwrap();
        let loading = world.clone();
        let loading = spawn(move || loading.load(older, &seen));
        world.write(1);
        let seen = world.capture_stamps();
        let newer = world.local.flights.supersede(&world.key, || seen.clone());
        assert_eq!(world.load(newer, &seen), 1);
        loading.join().unwrap();
        assert_eq!(world.hit(), Some(1));
    });
}

/// The caller drives the flight, the load wants a task, and somebody may join. Killed by: `ensure_spawned` not saying what it wants;
/// a caller that is not among those who are woken.
#[test]
fn a_flight_that_changes_hands_ends_for_everybody() {
    explore(|| {
        assert_eq!(drive_or_join(&World::new()), 0, "alone");
        let world = World::new();
        let callers: Vec<_> = (0..2).map(|_| world.clone()).map(|world| spawn(move || drive_or_join(&world))).collect();
        callers.into_iter().for_each(|caller| assert_eq!(caller.join().unwrap(), 0));
    });
}

/// The caller is polled once, and then not before somebody else has the outcome. Killed by: `drive` putting back what others
/// wait for; not taking it over.
#[test]
fn who_joins_does_not_depend_on_the_caller() {
    explore(|| {
        let world = World::new();
        let Claim::Lead(leader) = world.local.flights.claim(&world.key, || world.capture_stamps()) else {
            panic!("nobody leads")
        };
        let joiner = leader.starter();
        joiner.attach(course(world.clone(), leader));
        let other = world.clone();
        let other = spawn(move || drive_or_join(&other));
        block_on(poll_fn(|context| {
            joiner.poll_inline(context).into_iter().for_each(task);
            Poll::Ready(())
        }));
        assert_eq!(other.join().unwrap(), 0);
        assert_eq!(outcome(poll_inline(joiner)), 0);
    });
}

/// As `pilot.rs` and `caller.rs` have it.
fn drive_or_join(world: &Arc<World>) -> u64 {
    let joined = match world.local.flights.claim(&world.key, || world.capture_stamps()) {
        Claim::Lead(leader) => {
            let joiner = leader.starter();
            joiner.attach(course(world.clone(), leader));
            poll_inline(joiner)
        }
        Claim::Join(joiner) => {
            joiner.detach().into_iter().for_each(task);
            block_on(joiner)
        }
    };
    outcome(joined)
}

fn poll_inline(mut joiner: Joiner) -> Joined {
    block_on(poll_fn(|context| {
        joiner.poll_inline(context).into_iter().for_each(task);
        joiner.poll_unpin(context)
    }))
}

fn outcome(joined: Joined) -> u64 {
    match joined {
        Joined::Outcome(Outcome::Value(entry)) => version(&entry),
        Joined::Outcome(_) | Joined::Retry => panic!("no load fails"),
    }
}

fn course(world: Arc<World>, leader: Leader) -> FlightFuture {
    Box::pin(async move {
        shuttle::future::yield_now().await;
        leader.ensure_spawned().await;
        let seen = leader.stamps().clone();
        world.load(leader, &seen);
    })
}

fn task(course: FlightFuture) {
    spawn(move || block_on(course));
}
