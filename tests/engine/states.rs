//! Fresh, stale, expired: what a call returns and what it starts, as time passes.

use hybridcache::hybrid_cached;

use crate::world::{World, at_once, millis, pass, secs, settle};

#[hybrid_cached(ttl = 60s, fresh_for = 10s, key = "{id}", cache = world.cache)]
async fn value(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn never_stale(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[tokio::test(start_paused = true)]
async fn a_fresh_value_is_returned_at_once() {
    let world = World::new().await;
    assert_eq!(value(&world, 7).await, 1);
    pass(secs(10) - millis(1)).await;
    assert_eq!(at_once(value(&world, 7)), 1);
    settle().await;
    assert_eq!(world.events(), ["load 7"]);
}

#[tokio::test(start_paused = true)]
async fn keys_have_values_of_their_own() {
    let world = World::new().await;
    assert_eq!(value(&world, 7).await, 1);
    assert_eq!(value(&world, 8).await, 2);
    assert_eq!(value(&world, 7).await, 1);
    assert_eq!(world.events(), ["load 7", "load 8"]);
}

/// Killed by: every caller of a stale entry taking the claim to refresh it and starting a flight of its own.
#[tokio::test(start_paused = true)]
async fn a_stale_value_is_returned_at_once_and_refreshed_once() {
    let world = World::new().await;
    assert_eq!(value(&world, 7).await, 1);
    pass(secs(10)).await;
    world.hold();
    for _ in 0..100 {
        assert_eq!(at_once(value(&world, 7)), 1);
    }
    world.until_loads(2).await;
    let callers: Vec<_> = (0..100).map(|_| world.call(|world| async move { value(&world, 7).await })).collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 1, "nobody waits for the refresh");
    }
    world.let_go(2);
    settle().await;
    assert_eq!(at_once(value(&world, 7)), 2);
    assert_eq!(world.events(), ["load 7", "load 7"]);
}

#[tokio::test(start_paused = true)]
async fn a_value_nobody_asks_for_is_not_refreshed() {
    let world = World::new().await;
    value(&world, 7).await;
    pass(secs(59)).await;
    assert_eq!(world.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refreshed_value_lives_as_long_as_a_loaded_one() {
    let world = World::new().await;
    value(&world, 7).await;
    pass(secs(50)).await;
    assert_eq!(value(&world, 7).await, 1);
    settle().await;
    pass(secs(10) - millis(1)).await;
    assert_eq!(at_once(value(&world, 7)), 2, "fresh again");
    settle().await;
    assert_eq!(world.loads(), 2);
    pass(secs(49)).await;
    assert_eq!(at_once(value(&world, 7)), 2, "stale, 59 s after its load");
    world.until_loads(3).await;
}

/// Killed by: `now > expires_at` in place of `>=`.
#[tokio::test(start_paused = true)]
async fn an_expired_value_is_never_served() {
    let world = World::new().await;
    value(&world, 7).await;
    pass(secs(60)).await;
    world.hold();
    let caller = world.call(|world| async move { value(&world, 7).await });
    world.until_loads(2).await;
    assert!(!caller.is_finished());
    world.let_go(2);
    assert_eq!(caller.await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_fresh_for_a_value_is_fresh_to_its_end() {
    let world = World::new().await;
    never_stale(&world, 7).await;
    pass(secs(60) - millis(1)).await;
    assert_eq!(at_once(never_stale(&world, 7)), 1);
    settle().await;
    assert_eq!(world.loads(), 1);
    pass(millis(1)).await;
    assert_eq!(never_stale(&world, 7).await, 2);
}

/// Killed by: claims that always lead.
#[tokio::test(start_paused = true)]
async fn callers_of_an_entry_that_expires_join_its_refresh() {
    let world = World::new().await;
    value(&world, 7).await;
    pass(secs(59)).await;
    world.hold();
    assert_eq!(value(&world, 7).await, 1);
    world.until_loads(2).await;
    pass(secs(1)).await;
    let callers: Vec<_> = (0..10).map(|_| world.call(|world| async move { value(&world, 7).await })).collect();
    settle().await;
    assert_eq!(world.loads(), 2);
    assert!(callers.iter().all(|caller| !caller.is_finished()), "the old value is gone");
    world.let_go(2);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 2);
    }
    assert_eq!(world.events(), ["load 7", "load 7"]);
}

#[tokio::test(start_paused = true)]
async fn times_count_from_the_end_of_a_load() {
    let world = World::new().await;
    world.hold();
    let caller = world.call(|world| async move { value(&world, 7).await });
    world.until_loads(1).await;
    pass(secs(20)).await;
    world.let_go(1);
    assert_eq!(caller.await.unwrap(), 1);
    pass(secs(10) - millis(1)).await;
    assert_eq!(at_once(value(&world, 7)), 1);
    settle().await;
    assert_eq!(world.loads(), 1, "fresh for as long as it says");
}
