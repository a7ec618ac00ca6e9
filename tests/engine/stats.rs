//! Each counter counts what its documentation says.

use hybridcache::{LoadError, NoCache, Stats, bypass, hybrid_cached, refresh};

use crate::world::{World, pass, secs, settle};

#[hybrid_cached(ttl = 60s, fresh_for = 10s, timeout = 5s, key = "{id}", name = "counted", tags = ["all"], cache = world.cache)]
async fn counted(world: &World, id: u64) -> Result<u64, LoadError> {
    let number = world.load(id).await;
    match id {
        13 => panic!("thirteen"),
        14 => Err(NoCache(number)),
        _ if world.is_failing() => Err(LoadError::Panicked("not really".into())),
        _ => Ok(number),
    }
}

#[hybrid_cached(ttl = 60s, key = "{id}", name = "other", cache = world.cache)]
async fn other(world: &World, id: u64) -> u64 {
    world.load(id).await
}

/// The counters with those that differ from zero.
fn expect(world: &World, expected: impl FnOnce(&mut Stats)) {
    let mut stats = Stats::default();
    expected(&mut stats);
    assert_eq!(world.cache.function_stats("counted"), stats);
    assert_eq!(world.cache.stats(), stats);
}

#[tokio::test(start_paused = true)]
async fn misses_loads_and_hits() {
    let world = World::new().await;
    expect(&world, |_| {});
    counted(&world, 7).await.unwrap();
    expect(&world, |stats| (stats.misses, stats.loads) = (1, 1));
    counted(&world, 7).await.unwrap();
    counted(&world, 7).await.unwrap();
    expect(&world, |stats| (stats.misses, stats.loads, stats.hits_memory) = (1, 1, 2));
    assert!((world.cache.stats().hit_ratio() - 2.0 / 3.0).abs() < 1e-9);
    pass(secs(60)).await;
    counted(&world, 7).await.unwrap();
    expect(&world, |stats| (stats.misses, stats.loads, stats.hits_memory) = (2, 2, 2));
}

#[tokio::test(start_paused = true)]
async fn stale_hits_and_refreshes() {
    let world = World::new().await;
    counted(&world, 7).await.unwrap();
    pass(secs(10)).await;
    world.hold();
    for _ in 0..5 {
        counted(&world, 7).await.unwrap();
    }
    settle().await;
    expect(&world, |stats| {
        (stats.misses, stats.loads, stats.refreshes) = (1, 2, 1);
        (stats.hits_memory, stats.stale_hits) = (5, 5);
    });
    world.let_all_go();
    settle().await;
    world.fail(true);
    pass(secs(10)).await;
    counted(&world, 7).await.unwrap();
    settle().await;
    expect(&world, |stats| {
        (stats.misses, stats.loads, stats.refreshes, stats.load_errors) = (1, 3, 2, 1);
        (stats.hits_memory, stats.stale_hits) = (6, 6);
    });
}

#[tokio::test(start_paused = true)]
async fn joined_callers() {
    let world = World::new().await;
    world.hold();
    let callers: Vec<_> = (0..10).map(|_| world.call(|world| async move { counted(&world, 7).await })).collect();
    world.until_loads(1).await;
    expect(&world, |stats| (stats.misses, stats.loads, stats.joined) = (1, 1, 9));
    world.let_all_go();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    expect(&world, |stats| (stats.misses, stats.loads, stats.joined) = (1, 1, 9));
    assert!(world.cache.stats().hit_ratio().abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn loads_that_fail() {
    let world = World::new().await;
    world.fail(true);
    counted(&world, 7).await.unwrap_err();
    expect(&world, |stats| (stats.misses, stats.loads, stats.load_errors) = (1, 1, 1));
    let panicking = world.call(|world| async move { counted(&world, 13).await });
    assert!(panicking.await.unwrap_err().is_panic());
    expect(&world, |stats| (stats.misses, stats.loads, stats.load_errors) = (2, 2, 2));
    world.hold();
    counted(&world, 8).await.unwrap_err();
    expect(&world, |stats| {
        (stats.misses, stats.loads) = (3, 3);
        (stats.load_errors, stats.timeouts) = (3, 1);
    });
}

#[tokio::test(start_paused = true)]
async fn a_value_that_is_not_stored_is_no_error() {
    let world = World::new().await;
    counted(&world, 14).await.unwrap();
    counted(&world, 14).await.unwrap();
    expect(&world, |stats| (stats.misses, stats.loads) = (2, 2));
}

#[tokio::test(start_paused = true)]
async fn scopes_load_without_missing() {
    let world = World::new().await;
    bypass(counted(&world, 7)).await.unwrap();
    refresh(counted(&world, 7)).await.unwrap();
    expect(&world, |stats| (stats.loads, stats.bypassed) = (2, 2));
    counted(&world, 7).await.unwrap();
    expect(&world, |stats| (stats.loads, stats.bypassed, stats.hits_memory) = (2, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn invalidations_expirations_and_puts() {
    let world = World::new().await;
    let entry = counted_entry(&world, 7);
    entry.invalidate().await.unwrap();
    entry.expire().await.unwrap();
    entry.put(1).await.unwrap();
    assert_eq!(entry.get().await, Some(1));
    expect(&world, |stats| stats.invalidations = 3);
}

#[tokio::test(start_paused = true)]
async fn invalidations_of_groups() {
    let world = World::new().await;
    counted(&world, 7).await.unwrap();
    let before = world.cache.stats().invalidations;
    world.cache.invalidate_function("counted").await.unwrap();
    assert_eq!(world.cache.function_stats("counted").invalidations, before + 1);
    world.cache.invalidate_tag("all").await.unwrap();
    world.cache.clear().await.unwrap();
    assert_eq!(world.cache.stats().invalidations, before + 3, "each was asked for");
}

/// Killed by: counting only what a shared tier refused.
#[tokio::test(start_paused = true)]
async fn results_that_an_invalidation_overtook() {
    let world = World::new().await;
    world.hold();
    let by_key = world.call(|world| async move { counted(&world, 7).await });
    world.until_loads(1).await;
    counted_entry(&world, 7).invalidate().await.unwrap();
    world.let_go(1);
    by_key.await.unwrap().unwrap();
    expect(&world, |stats| {
        (stats.misses, stats.loads) = (1, 1);
        (stats.invalidations, stats.fenced_publishes) = (1, 1);
    });
}

#[tokio::test(start_paused = true)]
async fn results_that_an_invalidation_of_their_group_overtook() {
    let world = World::new().await;
    world.hold();
    let by_tag = world.call(|world| async move { counted(&world, 7).await });
    world.until_loads(1).await;
    world.cache.invalidate_tag("all").await.unwrap();
    world.let_go(1);
    by_tag.await.unwrap().unwrap();
    assert_eq!(world.cache.stats().fenced_publishes, 1);
}

#[tokio::test(start_paused = true)]
async fn functions_are_counted_apart_and_together() {
    let world = World::new().await;
    counted(&world, 7).await.unwrap();
    other(&world, 7).await;
    other(&world, 7).await;
    let (one, two) = (world.cache.function_stats("counted"), world.cache.function_stats("other"));
    assert_eq!((one.loads, one.hits_memory), (1, 0));
    assert_eq!((two.loads, two.hits_memory), (1, 1));
    let all = world.cache.stats();
    assert_eq!((all.loads, all.hits_memory), (2, 1));
    assert_eq!(world.cache.function_stats("neither"), Stats::default());
    let mut names = world.cache.function_names();
    names.sort();
    assert_eq!(names, ["counted", "other"]);
}

#[tokio::test(start_paused = true)]
async fn caches_are_counted_apart() {
    let (one, two) = (World::new().await, World::new().await);
    counted(&one, 7).await.unwrap();
    assert_eq!(two.cache.stats(), Stats::default());
}

/// Threads that hit one key at a time count every hit.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_hit_is_lost() {
    let world = World::new().await;
    other(&world, 7).await;
    let callers: Vec<_> = (0..8)
        .map(|_| {
            world.call(|world| async move {
                for _ in 0..10_000 {
                    other(&world, 7).await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(world.cache.stats().hits_memory, 80_000);
}
