//! Groups that are voided while one of them is loaded, or a number is read.

use std::sync::Arc;

use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::thread::spawn;

use super::{World, explore, stamp_name};
use crate::shared::Listener;

/// Killed by: `claim` joining a flight whose stamps were voided.
#[test]
fn after_a_restamp_nothing_older_is_served_and_no_older_flight_is_joined() {
    explore(|| {
        let world = World::new();
        let callers: Vec<_> = (0..2).map(|_| world.clone()).map(|world| spawn(move || world.call())).collect();
        world.write(1);
        world.local.restamped(stamp_name().hash, 7);
        assert_ne!(world.hit(), Some(0), "a hit");
        assert_eq!(world.call(), 1, "a call");
        callers.into_iter().for_each(|caller| assert!(caller.join().unwrap() <= 1));
        assert_ne!(world.hit(), Some(0), "a hit when all have ended");
    });
}

/// Killed by: `learn` taking in every reading; `void` not voiding them.
#[test]
fn a_number_from_before_a_restamp_is_never_known_after_it() {
    explore(|| {
        let (world, shared) = (World::new(), Arc::new(AtomicU64::new(7)));
        let (reading, number) = (world.clone(), shared.clone());
        let reading = spawn(move || {
            let seen = reading.capture_stamps();
            seen.learn(&[stamp_name()], [Some(number.load(Ordering::SeqCst))]);
        });
        // As `write.rs` has it.
        world.stamp.void();
        shared.store(8, Ordering::SeqCst);
        world.stamp.void();
        let known = || world.capture_stamps().remote();
        assert!(known().is_none_or(|numbers| *numbers == [(9, 8)]));
        reading.join().unwrap();
        assert!(known().is_none_or(|numbers| *numbers == [(9, 8)]));
    });
}

/// An entry that carries the old number is not valid for a capture that is made meanwhile. Killed by: `void` changing the generation
/// before it takes the lock; `capture` reading the generation before it takes the lock.
#[test]
fn no_capture_beside_a_restamp_has_the_new_generation_and_the_old_number() {
    explore(|| {
        let world = World::new();
        world.capture_stamps().learn(&[stamp_name()], [Some(7_u64)]);
        let capturing = world.clone();
        let capturing = spawn(move || capturing.capture_stamps());
        world.local.restamped(stamp_name().hash, 7);
        let seen = capturing.join().unwrap();
        assert!(seen.remote().is_none() || !seen.is_current(), "the old number is taken for the new one");
    });
}

/// What is published under a number was loaded while it stood. Killed by: `remote` giving the number that stands now.
#[test]
fn a_load_carries_the_number_from_before_it_began() {
    explore(|| {
        let (world, shared) = (World::new(), Arc::new(AtomicU64::new(7)));
        let (loading, number) = (world.clone(), shared.clone());
        let loading = spawn(move || {
            let seen = loading.capture_stamps();
            seen.learn(&[stamp_name()], [Some(number.load(Ordering::SeqCst))]);
            let loaded = loading.database.load(Ordering::SeqCst);
            // Somebody else reads the number anew meanwhile.
            loading.capture_stamps().learn(&[stamp_name()], [Some(number.load(Ordering::SeqCst))]);
            (loaded, seen.remote())
        });
        world.write(1);
        world.stamp.void();
        shared.store(8, Ordering::SeqCst);
        world.stamp.void();
        let (loaded, carried) = loading.join().unwrap();
        assert!(loaded == 1 || carried.is_none_or(|numbers| *numbers == [(9, 7)]), "{loaded} is hidden by no stamp");
    });
}
