//! A cache outlives runtimes: one that is shut down takes its loads along, and nobody else.

use std::thread;
use std::time::{Duration, Instant};

use hybridcache::hybrid_cached;
use tokio::runtime::{Builder, Runtime};

use crate::world::{World, at_once, settle};

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn value(world: &World, id: u64) -> u64 {
    world.load(id).await
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Waits for what another thread does.
async fn in_time(condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(20), "what was waited for did not come");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Killed by: a flight that stays when its leader is dropped.
#[test]
fn a_waiter_loads_again_when_the_runtime_of_the_load_is_shut_down() {
    let (first, second) = (runtime(), runtime());
    let world = first.block_on(World::new());
    world.hold();
    let shared = world.clone();
    first.spawn(async move { value(&shared, 7).await });
    let joined: Vec<_> = second.block_on(async {
        in_time(|| world.loads() == 1).await;
        let joined = (0..10).map(|_| world.call(|world| async move { value(&world, 7).await })).collect();
        in_time(|| world.cache.stats().joined == 10).await;
        joined
    });
    first.shutdown_background();
    let values = second.block_on(async {
        in_time(|| world.loads() == 2).await;
        settle().await;
        world.let_all_go();
        let mut values = Vec::new();
        for caller in joined {
            values.push(caller.await.unwrap());
        }
        values
    });
    assert_eq!(values, [2; 10], "one of them loads, for all");
}

#[test]
fn a_hit_needs_no_runtime() {
    let runtime = runtime();
    let world = runtime.block_on(World::new());
    runtime.block_on(value(&world, 7));
    let hit = thread::spawn(move || crate::world::at_once(value(&world, 7)));
    assert_eq!(hit.join().unwrap(), 1);
}

/// What cannot be loaded outside a runtime is no burden to those inside.
#[test]
fn a_miss_outside_a_runtime_leaves_the_key_free() {
    let runtime = runtime();
    let world = runtime.block_on(World::new());
    let outside = world.clone();
    let missed = thread::spawn(move || crate::world::poll_once(&mut Box::pin(value(&outside, 7))).is_ready());
    assert!(missed.join().is_err(), "tokio panics where there is no runtime");
    assert_eq!(runtime.block_on(value(&world, 7)), 1);
}

/// Killed by: starting the refresh of a stale hit wherever it is.
#[test]
fn a_stale_hit_outside_a_runtime_is_a_hit() {
    let runtime = runtime();
    let world = runtime.block_on(World::new());
    runtime.block_on(value(&world, 7));
    at_once(value_entry(&world, 7).expire()).unwrap();
    let outside = world.clone();
    assert_eq!(thread::spawn(move || at_once(value(&outside, 7))).join().unwrap(), 1);
    assert_eq!(world.loads(), 1);
}

#[derive(Debug, Clone)]
struct Late;

impl From<hybridcache::LoadError> for Late {
    fn from(_: hybridcache::LoadError) -> Self {
        Self
    }
}

#[hybrid_cached(ttl = 60s, timeout = 100ms, key = "{id}", cache = world.cache)]
async fn limited(world: &World, id: u64) -> Result<u64, Late> {
    Ok(world.load(id).await)
}

/// Killed by: timers of the runtime that has none.
#[test]
fn a_runtime_without_timers_waits_and_times_out_all_the_same() {
    for bare in [Builder::new_current_thread().build().unwrap(), Builder::new_multi_thread().build().unwrap()] {
        bare.block_on(async {
            let world = World::new().await;
            world.hold();
            // In tasks without a bound of their own, which would need timers.
            let callers = [(); 3].map(|()| {
                let world = world.clone();
                tokio::spawn(async move { value(&world, 7).await })
            });
            assert!(limited(&world, 8).await.is_err());
            world.let_all_go();
            for caller in callers {
                caller.await.unwrap();
            }
            let stats = world.cache.stats();
            assert_eq!((stats.joined, stats.timeouts), (2, 1));
        });
    }
}
