//! The right to refresh an entry.

use std::sync::Arc;

use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::thread::spawn;

use super::{NOW, World, explore};
use crate::entry::{Entry, RefreshClaim};

fn take(world: &World, entry: &Arc<Entry>) -> Option<RefreshClaim> {
    RefreshClaim::take(entry, world.local.clock, NOW)
}

fn stale(world: &World) -> Arc<Entry> {
    world.entry(0, &world.capture_stamps(), 0)
}

/// Killed by: `take` storing the number it has read instead of comparing.
#[test]
fn one_at_a_time_refreshes() {
    explore(|| {
        let world = World::new();
        let (entry, running) = (stale(&world), Arc::new(AtomicU64::new(0)));
        let refreshers: Vec<_> = (0..3)
            .map(|_| {
                let (world, entry, running) = (world.clone(), entry.clone(), running.clone());
                spawn(move || {
                    let Some(claim) = take(&world, &entry) else { return };
                    assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "another refresh runs");
                    running.fetch_sub(1, Ordering::SeqCst);
                    claim.done();
                })
            })
            .collect();
        refreshers.into_iter().for_each(|refresher| refresher.join().unwrap());
        assert!(take(&world, &entry).is_some());
    });
}

/// Killed by: reading the time before the number.
#[test]
fn after_a_failure_nobody_tries_at_once() {
    explore(|| {
        let world = World::new();
        let (entry, tries) = (stale(&world), Arc::new(AtomicU64::new(0)));
        let refreshers: Vec<_> = (0..3)
            .map(|_| {
                let (world, entry, tries) = (world.clone(), entry.clone(), tries.clone());
                spawn(move || {
                    if let Some(claim) = take(&world, &entry) {
                        tries.fetch_add(1, Ordering::SeqCst);
                        // As where the load fails.
                        drop(claim);
                    }
                })
            })
            .collect();
        refreshers.into_iter().for_each(|refresher| refresher.join().unwrap());
        assert_eq!(tries.load(Ordering::SeqCst), 1);
    });
}

/// Killed by: the end of an overtaken refresh leaving its pause behind; `expire` forgetting failures before it counts up.
#[test]
fn what_expires_by_hand_can_be_refreshed_at_once_whatever_fails_meanwhile() {
    explore(|| {
        let world = World::new();
        let entry = stale(&world);
        let claim = take(&world, &entry).unwrap();
        let failing = spawn(move || drop(claim));
        entry.meta.expire();
        failing.join().unwrap();
        assert!(take(&world, &entry).is_some());
    });
}
