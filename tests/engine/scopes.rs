//! `refresh` and `bypass`: whom they reach, and what they read and store.

use hybridcache::{NoCache, bypass, hybrid_cached, refresh};

use crate::world::{World, at_once, pass, secs, settle};

#[hybrid_cached(ttl = 60s, fresh_for = 10s, key = "{id}", cache = world.cache)]
async fn value(world: &World, id: u64) -> u64 {
    world.load(format!("value {id}")).await
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn outer(world: &World, id: u64) -> u64 {
    world.log(format!("load outer {id}"));
    value(world, id).await
}

#[hybrid_cached(ttl = 60s, fresh_for = 10s, key = "{id}", cache = world.cache)]
async fn fallible(world: &World, id: u64, stored: bool) -> Result<u64, String> {
    let number = world.load(format!("fallible {id}")).await;
    if world.is_failing() {
        return Err(format!("load {number} failed"));
    }
    if !stored {
        return Err(NoCache(number));
    }
    Ok(number)
}

#[tokio::test(start_paused = true)]
async fn refresh_loads_again_and_stores() {
    let world = World::new().await;
    value(&world, 7).await;
    assert_eq!(refresh(value(&world, 7)).await, 2);
    assert_eq!(at_once(value(&world, 7)), 2);
    assert_eq!(refresh(value(&world, 8)).await, 3, "nothing was cached");
    assert_eq!(at_once(value(&world, 8)), 3);
}

#[tokio::test(start_paused = true)]
async fn bypass_neither_reads_nor_stores() {
    let world = World::new().await;
    assert_eq!(bypass(value(&world, 7)).await, 1);
    assert_eq!(value_entry(&world, 7).get().await, None);
    assert_eq!(value(&world, 7).await, 2);
    assert_eq!(bypass(value(&world, 7)).await, 3);
    assert_eq!(at_once(value(&world, 7)), 2);
}

#[tokio::test(start_paused = true)]
async fn both_reach_the_outermost_calls_only() {
    let world = World::new().await;
    outer(&world, 7).await;
    assert_eq!(world.events(), ["load outer 7", "load value 7"]);
    assert_eq!(refresh(outer(&world, 7)).await, 1);
    assert_eq!(world.events(), ["load outer 7"], "what its load asks for is cached");
    assert_eq!(bypass(outer(&world, 7)).await, 1);
    assert_eq!(world.events(), ["load outer 7"]);
    assert_eq!(bypass(outer(&world, 8)).await, 2);
    assert_eq!(at_once(value(&world, 8)), 2, "stored as ever");
}

#[tokio::test(start_paused = true)]
async fn both_reach_every_outermost_call_of_the_future() {
    let world = World::new().await;
    let both = refresh(async {
        let first = value(&world, 1).await;
        tokio::task::yield_now().await;
        (first, value(&world, 1).await, value(&world, 2).await)
    });
    assert_eq!(both.await, (1, 2, 3));
    assert_eq!(value(&world, 1).await, 2, "outside again");
    let both = bypass(async { (value(&world, 1).await, value(&world, 1).await) });
    assert_eq!(both.await, (4, 5));
    assert_eq!(value(&world, 1).await, 2);
}

#[tokio::test(start_paused = true)]
async fn both_stay_on_their_task() {
    let world = World::new().await;
    value(&world, 7).await;
    let spawning = async { world.call(|world| async move { value(&world, 7).await }).await.unwrap() };
    assert_eq!(refresh(spawning).await, 1);
    let spawning = async { world.call(|world| async move { value(&world, 7).await }).await.unwrap() };
    assert_eq!(bypass(spawning).await, 1);
}

#[tokio::test(start_paused = true)]
async fn the_inner_scope_counts() {
    let world = World::new().await;
    value(&world, 7).await;
    assert_eq!(refresh(bypass(value(&world, 7))).await, 2);
    assert_eq!(at_once(value(&world, 7)), 1, "a bypass within a refresh stores nothing");
    assert_eq!(bypass(refresh(value(&world, 7))).await, 3);
    assert_eq!(at_once(value(&world, 7)), 3, "a refresh within a bypass does");
}

/// Killed by: a refresh that claims the key as others do.
#[tokio::test(start_paused = true)]
async fn refresh_joins_no_load_that_began_before() {
    let world = World::new().await;
    world.hold();
    let older = world.call(|world| async move { value(&world, 7).await });
    world.until_loads(1).await;
    let refreshed = world.call(|world| async move { refresh(value(&world, 7)).await });
    world.until_loads(2).await;
    let late = world.call(|world| async move { value(&world, 7).await });
    settle().await;
    assert_eq!(world.loads(), 2, "others may join the refresh");
    world.let_go(2);
    assert_eq!(refreshed.await.unwrap(), 2);
    assert_eq!(late.await.unwrap(), 2);
    world.let_go(1);
    assert_eq!(older.await.unwrap(), 1);
    assert_eq!(at_once(value(&world, 7)), 2, "the older value does not replace the newer one");
}

#[tokio::test(start_paused = true)]
async fn of_two_refreshes_the_later_one_is_stored() {
    let world = World::new().await;
    world.hold();
    let first = world.call(|world| async move { refresh(value(&world, 7)).await });
    world.until_loads(1).await;
    let second = world.call(|world| async move { refresh(value(&world, 7)).await });
    world.until_loads(2).await;
    world.let_go(2);
    assert_eq!(second.await.unwrap(), 2);
    world.let_go(1);
    assert_eq!(first.await.unwrap(), 1);
    assert_eq!(at_once(value(&world, 7)), 2);
}

#[tokio::test(start_paused = true)]
async fn while_a_refresh_runs_hits_go_on() {
    let world = World::new().await;
    value(&world, 7).await;
    world.hold();
    let refreshed = world.call(|world| async move { refresh(value(&world, 7)).await });
    world.until_loads(2).await;
    assert_eq!(at_once(value(&world, 7)), 1);
    pass(secs(10)).await;
    assert_eq!(at_once(value(&world, 7)), 1, "stale");
    settle().await;
    assert_eq!(world.loads(), 2, "somebody loads it anyway");
    world.let_all_go();
    assert_eq!(refreshed.await.unwrap(), 2);
    assert_eq!(at_once(value(&world, 7)), 2);
}

#[tokio::test(start_paused = true)]
async fn bypass_joins_nobody_and_nobody_joins_it() {
    let world = World::new().await;
    world.hold();
    let alone = world.call(|world| async move { bypass(value(&world, 7)).await });
    world.until_loads(1).await;
    let other = world.call(|world| async move { value(&world, 7).await });
    world.until_loads(2).await;
    let alone_too = world.call(|world| async move { bypass(value(&world, 7)).await });
    world.until_loads(3).await;
    world.let_all_go();
    assert_eq!((alone.await.unwrap(), other.await.unwrap(), alone_too.await.unwrap()), (1, 2, 3));
    assert_eq!(at_once(value(&world, 7)), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_is_an_error_and_leaves_the_old_value() {
    let world = World::new().await;
    fallible(&world, 7, true).await.unwrap();
    world.fail(true);
    assert_eq!(refresh(fallible(&world, 7, true)).await, Err("load 2 failed".into()));
    assert_eq!(at_once(fallible(&world, 7, true)), Ok(1));
}

/// Killed by: a stale hit that counts as a failed refresh because it found somebody loading.
#[tokio::test(start_paused = true)]
async fn a_stale_hit_beside_a_refresh_that_fails_has_not_failed_itself() {
    let world = World::new().await;
    fallible(&world, 7, true).await.unwrap();
    pass(secs(10)).await;
    world.hold();
    world.fail(true);
    let refreshed = world.call(|world| async move { refresh(fallible(&world, 7, true)).await });
    world.until_loads(2).await;
    assert_eq!(at_once(fallible(&world, 7, true)), Ok(1));
    world.let_all_go();
    refreshed.await.unwrap().unwrap_err();
    assert_eq!(at_once(fallible(&world, 7, true)), Ok(1));
    world.until_loads(3).await;
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_is_not_to_be_stored_leaves_the_old_value() {
    let world = World::new().await;
    fallible(&world, 7, true).await.unwrap();
    assert_eq!(refresh(fallible(&world, 7, false)).await, Ok(2));
    assert_eq!(at_once(fallible(&world, 7, true)), Ok(1));
    assert_eq!(bypass(fallible(&world, 7, false)).await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_during_a_refresh_is_not_undone() {
    let world = World::new().await;
    value(&world, 7).await;
    world.hold();
    let refreshed = world.call(|world| async move { refresh(value(&world, 7)).await });
    world.until_loads(2).await;
    value_entry(&world, 7).invalidate().await.unwrap();
    world.let_all_go();
    refreshed.await.unwrap();
    assert_eq!(value_entry(&world, 7).get().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_scope_gives_whatever_its_future_gives() {
    assert_eq!(refresh(async { "text" }).await, "text");
    assert_eq!(bypass(async { 7 }).await, 7);
}

/// A scope within a load reaches that load's own calls.
#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn refreshing(world: &World, id: u64) -> u64 {
    refresh(value(world, id)).await
}

#[tokio::test(start_paused = true)]
async fn a_load_may_refresh_what_it_asks_for() {
    let world = World::new().await;
    value(&world, 7).await;
    assert_eq!(refreshing(&world, 7).await, 2);
    assert_eq!(at_once(value(&world, 7)), 2);
}
