//! Waiting for somebody else's load is bounded.

use std::time::Duration;

use hybridcache::{LoadError, hybrid_cached};

use crate::world::{World, at_once, millis, pass, secs, settle};

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn value(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = 60s, timeout = limit, key = "{id}", cache = world.cache)]
async fn limited(world: &World, id: u64, limit: Duration) -> Result<u64, LoadError> {
    Ok(world.load(id).await)
}

/// Killed by: joining without a limit.
#[tokio::test(start_paused = true)]
async fn a_waiter_waits_thirty_seconds_and_then_loads() {
    let world = World::new().await;
    world.hold();
    let leader = world.call(|world| async move { value(&world, 7).await });
    world.until_loads(1).await;
    pass(secs(5)).await;
    let joined: Vec<_> = (0..3).map(|_| world.call(|world| async move { value(&world, 7).await })).collect();
    settle().await;
    pass(secs(30) - millis(10)).await;
    assert_eq!(world.loads(), 1, "the limit counts from the caller's own start");
    pass(millis(20)).await;
    world.until_loads(4).await;
    assert_eq!(world.running(), 4, "side by side");
    assert!(!leader.is_finished(), "who loads has no limit");
    (2..=4).for_each(|number| world.let_go(number));
    let mut values = Vec::new();
    for caller in joined {
        values.push(caller.await.unwrap());
    }
    values.sort_unstable();
    assert_eq!(values, [2, 3, 4]);
    world.let_go(1);
    assert_eq!(leader.await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_waits_no_longer_than_its_timeout() {
    let world = World::new().await;
    world.hold();
    let leader = world.call(|world| async move { limited(&world, 7, secs(20)).await });
    world.until_loads(1).await;
    let joined = world.call(|world| async move { limited(&world, 7, secs(2)).await });
    settle().await;
    pass(secs(2) - millis(10)).await;
    assert_eq!(world.loads(), 1);
    pass(millis(20)).await;
    world.until_loads(2).await;
    world.let_go(2);
    assert_eq!(joined.await.unwrap().unwrap(), 2);
    world.let_go(1);
    assert_eq!(leader.await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_loads_for_itself_has_the_same_deadline_again() {
    let world = World::new().await;
    world.hold();
    let _leader = world.call(|world| async move { limited(&world, 7, secs(100)).await });
    world.until_loads(1).await;
    let joined = world.call(|world| async move { limited(&world, 7, secs(2)).await });
    settle().await;
    pass(secs(2)).await;
    world.until_loads(2).await;
    pass(secs(2)).await;
    assert!(matches!(joined.await.unwrap(), Err(LoadError::TimedOut)));
}

/// A load that a waiter runs for itself does not stand in the way of the one it waited for.
#[tokio::test(start_paused = true)]
async fn a_waiters_own_load_leaves_the_flight_alone() {
    let world = World::new().await;
    world.hold();
    let leader = world.call(|world| async move { value(&world, 7).await });
    world.until_loads(1).await;
    let joined = world.call(|world| async move { value(&world, 7).await });
    settle().await;
    pass(secs(30)).await;
    world.until_loads(2).await;
    let late = world.call(|world| async move { value(&world, 7).await });
    settle().await;
    assert_eq!(world.loads(), 2, "it joins the flight");
    world.let_go(1);
    assert_eq!(leader.await.unwrap(), 1);
    assert_eq!(late.await.unwrap(), 1);
    world.let_go(2);
    assert_eq!(joined.await.unwrap(), 2);
    assert_eq!(at_once(value(&world, 7)), 1);
}
