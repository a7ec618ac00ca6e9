//! `soft_timeout`: a stale hit waits a little for its refresh, and then takes the stale value.

use hybridcache::{LoadError, hybrid_cached};

use crate::world::{World, at_once, millis, pass, secs, settle};

#[hybrid_cached(ttl = 1h, fresh_for = 10s, soft_timeout = 50ms, key = "{id}", cache = world.cache)]
async fn softly(world: &World, id: u64, takes: u64) -> Result<u64, LoadError> {
    tokio::time::sleep(millis(takes)).await;
    let number = world.load(id).await;
    if world.is_failing() { Err(LoadError::TimedOut) } else { Ok(number) }
}

/// Killed by: the option ignored (the first would get the stale value); waiting for as long as the refresh takes.
#[tokio::test(start_paused = true)]
async fn a_quick_refresh_gives_the_new_value_and_a_slow_one_the_old() {
    let world = World::new().await;
    softly(&world, 7, 0).await.unwrap();
    pass(secs(10)).await;
    let began = tokio::time::Instant::now();
    assert_eq!(softly(&world, 7, 20).await.unwrap(), 2);
    assert_eq!(began.elapsed(), millis(20));
    pass(secs(10)).await;
    let began = tokio::time::Instant::now();
    assert_eq!(softly(&world, 7, 200).await.unwrap(), 2);
    assert_eq!(began.elapsed(), millis(50));
    pass(millis(150)).await;
    assert_eq!(at_once(softly(&world, 7, 0)).unwrap(), 3, "it is stored");
    assert_eq!((world.loads(), world.cache.stats().stale_hits), (3, 2));
}

/// Killed by: waiting only in the call that has started the refresh; counting from its start.
#[tokio::test(start_paused = true)]
async fn every_stale_hit_waits_for_the_refresh_that_runs() {
    let world = World::new().await;
    softly(&world, 7, 0).await.unwrap();
    pass(secs(10)).await;
    let calls: Vec<_> =
        (0..20).map(|_| world.call(|world| async move { softly(&world, 7, 100).await.unwrap() })).collect();
    settle().await;
    pass(millis(51)).await;
    for call in calls {
        assert!(call.is_finished());
        assert_eq!(call.await.unwrap(), 1);
    }
    let late = world.call(|world| async move { softly(&world, 7, 100).await.unwrap() });
    settle().await;
    assert!(!late.is_finished(), "it waits, too");
    pass(millis(49)).await;
    assert_eq!(late.await.unwrap(), 2, "for the refresh that began before");
    assert_eq!(world.loads(), 2);
}

/// Killed by: the error of the refresh for its caller; waiting where no refresh runs.
#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_gives_the_stale_value_at_once() {
    let world = World::new().await;
    softly(&world, 7, 0).await.unwrap();
    pass(secs(10)).await;
    world.fail(true);
    let began = tokio::time::Instant::now();
    assert_eq!(softly(&world, 7, 20).await.unwrap(), 1);
    assert_eq!(began.elapsed(), millis(20));
    assert_eq!(at_once(softly(&world, 7, 20)).unwrap(), 1, "the next attempt pauses");
    assert_eq!(world.loads(), 2);
}

#[hybrid_cached(
    ttl = 1h, fresh_for = 10s, refresh_ahead = 20%, soft_timeout = 50ms, key = "{id}", cache = world.cache
)]
async fn both(world: &World, id: u64) -> u64 {
    world.load(id).await
}

/// Killed by: waiting for the refresh of a value that is fresh.
#[tokio::test(start_paused = true)]
async fn a_fresh_hit_waits_for_nothing() {
    let world = World::new().await;
    both(&world, 7).await;
    world.hold();
    pass(secs(9)).await;
    assert_eq!(at_once(both(&world, 7)), 1);
    world.until_loads(2).await;
    assert_eq!(at_once(both(&world, 7)), 1);
}
