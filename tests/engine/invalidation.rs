//! What was loaded before an invalidation is stored nowhere after it.

use hybridcache::hybrid_cached;

use crate::world::{World, at_once, pass, secs, settle};

#[hybrid_cached(ttl = 60s, fresh_for = 10s, key = "{id}", cache = world.cache)]
async fn value(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = 60s, fresh_for = 10s, key = "{id}", cache = world.cache)]
async fn fallible(world: &World, id: u64) -> Result<u64, String> {
    let number = world.load(id).await;
    if world.is_failing() { Err("down".into()) } else { Ok(number) }
}

#[tokio::test(start_paused = true)]
async fn an_invalidated_value_is_gone() {
    let world = World::new().await;
    value(&world, 7).await;
    value(&world, 8).await;
    value_entry(&world, 7).invalidate().await.unwrap();
    assert_eq!(value_entry(&world, 7).get().await, None);
    assert_eq!(value(&world, 7).await, 3);
    assert_eq!(at_once(value(&world, 8)), 2, "the other key's stays");
}

#[tokio::test(start_paused = true)]
async fn what_was_never_loaded_can_be_invalidated() {
    let world = World::new().await;
    value_entry(&world, 7).invalidate().await.unwrap();
    value_entry(&world, 7).expire().await.unwrap();
    assert_eq!(value(&world, 7).await, 1);
    assert_eq!(at_once(value(&world, 7)), 1);
}

/// Killed by: storing without a look whether the flight is still attached.
#[tokio::test(start_paused = true)]
async fn an_invalidation_is_not_undone_by_a_load_that_ends_before_the_new_one() {
    let world = World::new().await;
    world.hold();
    let before = world.call(|world| async move { value(&world, 7).await });
    world.until_loads(1).await;
    value_entry(&world, 7).invalidate().await.unwrap();
    let after = world.call(|world| async move { value(&world, 7).await });
    world.until_loads(2).await;
    world.let_go(1);
    assert_eq!(before.await.unwrap(), 1, "who joined before may have the old value");
    assert_eq!(value_entry(&world, 7).get().await, None);
    let late = world.call(|world| async move { value(&world, 7).await });
    settle().await;
    assert!(!late.is_finished());
    world.let_go(2);
    assert_eq!(after.await.unwrap(), 2);
    assert_eq!(late.await.unwrap(), 2);
    assert_eq!(at_once(value(&world, 7)), 2);
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_is_not_undone_by_a_load_that_ends_after_the_new_one() {
    let world = World::new().await;
    world.hold();
    let before = world.call(|world| async move { value(&world, 7).await });
    world.until_loads(1).await;
    value_entry(&world, 7).invalidate().await.unwrap();
    let after = world.call(|world| async move { value(&world, 7).await });
    world.until_loads(2).await;
    world.let_go(2);
    assert_eq!(after.await.unwrap(), 2);
    world.let_go(1);
    before.await.unwrap();
    assert_eq!(at_once(value(&world, 7)), 2);
    assert_eq!(world.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_with_nobody_behind_it_is_not_undone() {
    let world = World::new().await;
    world.hold();
    let before: Vec<_> = (0..10).map(|_| world.call(|world| async move { value(&world, 7).await })).collect();
    world.until_loads(1).await;
    value_entry(&world, 7).invalidate().await.unwrap();
    world.let_go(1);
    for caller in before {
        caller.await.unwrap();
    }
    settle().await;
    assert_eq!(value_entry(&world, 7).get().await, None);
    world.let_all_go();
    assert_eq!(value(&world, 7).await, 2);
}

#[tokio::test(start_paused = true)]
async fn many_invalidations_during_one_load_after_the_other() {
    let world = World::new().await;
    world.hold();
    let mut callers = Vec::new();
    for number in 1..=20 {
        callers.push(world.call(|world| async move { value(&world, 7).await }));
        world.until_loads(number).await;
        value_entry(&world, 7).invalidate().await.unwrap();
    }
    world.let_all_go();
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(value_entry(&world, 7).get().await, None);
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_is_not_undone_by_a_background_refresh() {
    let world = World::new().await;
    value(&world, 7).await;
    pass(secs(10)).await;
    world.hold();
    assert_eq!(value(&world, 7).await, 1);
    world.until_loads(2).await;
    value_entry(&world, 7).invalidate().await.unwrap();
    let after = world.call(|world| async move { value(&world, 7).await });
    world.until_loads(3).await;
    world.let_go(2);
    settle().await;
    assert_eq!(value_entry(&world, 7).get().await, None);
    world.let_go(3);
    assert_eq!(after.await.unwrap(), 3);
}

/// Killed by: `expire` that does nothing, and one that deletes.
#[tokio::test(start_paused = true)]
async fn an_expired_entry_is_returned_once_more_and_refreshed() {
    let world = World::new().await;
    value(&world, 7).await;
    value_entry(&world, 7).expire().await.unwrap();
    assert_eq!(value_entry(&world, 7).get().await, Some(1));
    assert_eq!(at_once(value(&world, 7)), 1);
    world.until_loads(2).await;
    assert_eq!(at_once(value(&world, 7)), 2);
    settle().await;
    assert_eq!(world.loads(), 2, "fresh again");
}

#[tokio::test(start_paused = true)]
async fn an_expired_entry_ends_with_its_ttl() {
    let world = World::new().await;
    value(&world, 7).await;
    value_entry(&world, 7).expire().await.unwrap();
    pass(secs(60)).await;
    assert_eq!(value_entry(&world, 7).get().await, None);
}

/// Killed by: an expiration that leaves the load of the key alone.
#[tokio::test(start_paused = true)]
async fn a_load_that_began_before_an_expiration_does_not_count_as_fresh() {
    let world = World::new().await;
    world.hold();
    let before = world.call(|world| async move { value(&world, 7).await });
    world.until_loads(1).await;
    value_entry(&world, 7).expire().await.unwrap();
    world.let_go(1);
    assert_eq!(before.await.unwrap(), 1);
    let after = world.call(|world| async move { value(&world, 7).await });
    world.until_loads(2).await;
    world.let_go(2);
    after.await.unwrap();
    assert_eq!(at_once(value(&world, 7)), 2);
}

/// The refresh under way began before the expiration: what it brings is no answer to it.
#[tokio::test(start_paused = true)]
async fn after_an_expiration_during_a_refresh_the_next_hit_starts_another() {
    let world = World::new().await;
    value(&world, 7).await;
    pass(secs(10)).await;
    world.hold();
    assert_eq!(value(&world, 7).await, 1);
    world.until_loads(2).await;
    value_entry(&world, 7).expire().await.unwrap();
    assert_eq!(at_once(value(&world, 7)), 1);
    world.until_loads(3).await;
    world.let_go(2);
    settle().await;
    world.let_go(3);
    settle().await;
    assert_eq!(at_once(value(&world, 7)), 3);
}

/// A refresh whose result came too late for an expiration did not fail: the backend answers.
#[tokio::test(start_paused = true)]
async fn a_refresh_that_an_expiration_overtook_is_no_failed_one() {
    let world = World::new().await;
    value(&world, 7).await;
    pass(secs(10)).await;
    world.hold();
    assert_eq!(value(&world, 7).await, 1);
    world.until_loads(2).await;
    value_entry(&world, 7).expire().await.unwrap();
    world.let_all_go();
    settle().await;
    assert_eq!(at_once(value(&world, 7)), 1);
    world.until_loads(3).await;
    assert_eq!(at_once(value(&world, 7)), 3);
}

/// Who expires an entry by hand knows of a change: the pause after a failure is no reason to wait.
#[tokio::test(start_paused = true)]
async fn an_expiration_ends_the_pause_after_a_failed_refresh() {
    let world = World::new().await;
    fallible(&world, 7).await.unwrap();
    pass(secs(10)).await;
    world.fail(true);
    assert_eq!(at_once(fallible(&world, 7)), Ok(1));
    world.until_loads(2).await;
    world.fail(false);
    fallible_entry(&world, 7).expire().await.unwrap();
    assert_eq!(at_once(fallible(&world, 7)), Ok(1));
    world.until_loads(3).await;
    assert_eq!(at_once(fallible(&world, 7)), Ok(3));
}

/// Threads load and invalidate one key: a call after an invalidation gets what was loaded after it.
async fn race<Fut: Future<Output = ()> + Send>(invalidate: impl Fn(World) -> Fut + Copy + Send + 'static) {
    let world = World::new().await;
    let callers: Vec<_> = (0..8)
        .map(|_| {
            world.call(move |world| async move {
                for _ in 0..1_000 {
                    let loaded_before = world.loads();
                    invalidate(world.clone()).await;
                    let number = tagged(&world, 7).await;
                    assert!(number > loaded_before, "load {number}, of {loaded_before} that began before");
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
}

#[hybrid_cached(ttl = 60s, fresh_for = 10s, key = "{id}", name = "tagged", tags = ["tag"], cache = world.cache)]
async fn tagged(world: &World, id: u64) -> u64 {
    let number = world.load(id).await;
    tokio::task::yield_now().await;
    number
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_race_undoes_an_invalidation_of_a_key() {
    race(|world| async move { tagged_entry(&world, 7).invalidate().await.unwrap() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_race_undoes_an_invalidation_of_a_group() {
    race(|world| async move { world.cache.invalidate_tag("tag").await.unwrap() }).await;
    race(|world| async move { world.cache.invalidate_function("tagged").await.unwrap() }).await;
    race(|world| async move { world.cache.clear().await.unwrap() }).await;
}

/// A load may invalidate, expire and put what it loads.
#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn with_its_own_handle(world: &World, id: u64, how: &str) -> u64 {
    let number = world.load(id).await;
    match how {
        "invalidate" => with_its_own_handle_entry(world, id).invalidate().await.unwrap(),
        "put" => with_its_own_handle_entry(world, id).put(99).await.unwrap(),
        _ => with_its_own_handle_entry(world, id).expire().await.unwrap(),
    }
    number
}

#[tokio::test(start_paused = true)]
async fn a_load_may_use_the_handle_of_its_own_entry() {
    let world = World::new().await;
    assert_eq!(with_its_own_handle(&world, 1, "invalidate").await, 1);
    assert_eq!(with_its_own_handle_entry(&world, 1).get().await, None);
    assert_eq!(with_its_own_handle(&world, 2, "put").await, 2);
    assert_eq!(at_once(with_its_own_handle(&world, 2, "put")), 99, "the put came later");
    assert_eq!(with_its_own_handle(&world, 3, "expire").await, 3);
}

/// Its call may have begun after an invalidation in another process, whose message came later. Killed by: a flight that was
/// detached ending as others do.
#[tokio::test(start_paused = true)]
async fn a_caller_that_joins_late_does_not_get_what_was_invalidated_meanwhile() {
    let world = World::new().await;
    world.hold();
    let first = world.call(|world| async move { value(&world, 7).await });
    world.until_loads(1).await;
    let late = world.call(|world| async move { value(&world, 7).await });
    settle().await;
    value_entry(&world, 7).invalidate().await.unwrap();
    world.let_go(1);
    assert_eq!(first.await.unwrap(), 1);
    world.until_loads(2).await;
    world.let_go(2);
    assert_eq!(late.await.unwrap(), 2);
}
