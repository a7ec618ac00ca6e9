//! `hybridcache::no_cache()`: for functions that have no error to say it with.

use hybridcache::{hybrid_cached, no_cache};

use crate::world::{World, at_once};

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn optional(world: &World, id: i64) -> Option<i64> {
    world.load(id).await;
    if id < 0 {
        no_cache();
    }
    (id != -1).then_some(id)
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn plain(world: &World, id: i64) -> i64 {
    if id < 0 {
        no_cache();
    }
    world.load(id).await;
    id
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn fallible(world: &World, id: i64) -> Result<i64, String> {
    world.load(id).await;
    if id < 0 {
        mark(id);
    }
    Ok(id)
}

/// As far down as it may be called.
fn mark(id: i64) {
    if id < 0 {
        no_cache();
    }
}

/// Killed by: a mark that nobody looks at.
#[tokio::test(start_paused = true)]
async fn a_marked_load_is_not_stored() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(optional(&world, -7).await, Some(-7));
        assert_eq!(optional(&world, -1).await, None);
        assert_eq!(plain(&world, -7).await, -7);
        assert_eq!(fallible(&world, -7).await, Ok(-7));
    }
    assert_eq!(world.loads(), 8);
}

#[tokio::test(start_paused = true)]
async fn an_unmarked_one_is() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(optional(&world, 7).await, Some(7));
        assert_eq!(plain(&world, 7).await, 7);
        assert_eq!(fallible(&world, 7).await, Ok(7));
    }
    assert_eq!(world.loads(), 3);
}

#[tokio::test(start_paused = true)]
async fn all_waiters_get_the_value() {
    let world = World::new().await;
    world.hold();
    let callers: Vec<_> = (0..10).map(|_| world.call(|world| async move { plain(&world, -7).await })).collect();
    world.until_loads(1).await;
    world.let_all_go();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), -7);
    }
    assert_eq!(world.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn outside_a_load_it_does_nothing() {
    let world = World::new().await;
    no_cache();
    hybridcache::refresh(async {
        no_cache();
        assert_eq!(plain(&world, 7).await, 7);
        no_cache();
    })
    .await;
    assert_eq!(at_once(plain(&world, 7)), 7);
}

#[test]
fn outside_a_runtime_it_does_nothing() {
    no_cache();
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn spawning(world: &World, id: i64) -> i64 {
    world.load(id).await;
    tokio::spawn(async { no_cache() }).await.unwrap();
    id
}

#[tokio::test(start_paused = true)]
async fn in_a_task_that_the_load_spawned_it_does_nothing() {
    let world = World::new().await;
    spawning(&world, 7).await;
    assert_eq!(at_once(spawning(&world, 7)), 7);
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn outer(world: &World, id: i64) -> i64 {
    plain(world, id).await
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn outer_marked(world: &World, id: i64) -> i64 {
    let value = plain(world, id).await;
    no_cache();
    value
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn outer_with_scopes(world: &World, id: i64) -> i64 {
    hybridcache::bypass(async { no_cache() }).await;
    plain(world, id).await
}

#[tokio::test(start_paused = true)]
async fn it_marks_the_innermost_load() {
    let world = World::new().await;
    outer(&world, -7).await;
    assert_eq!(at_once(outer(&world, -7)), -7);
    assert_eq!(plain_entry(&world, -7).get().await, None);
    outer_marked(&world, 7).await;
    assert_eq!(outer_marked_entry(&world, 7).get().await, None);
    assert_eq!(plain_entry(&world, 7).get().await, Some(7));
    outer_with_scopes(&world, 8).await;
    assert_eq!(outer_with_scopes_entry(&world, 8).get().await, None, "a scope within the load is part of it");
}

/// A mark does not outlive its load.
#[tokio::test(start_paused = true)]
async fn the_next_load_begins_unmarked() {
    let world = World::new().await;
    world.fail(true);
    marked_while_failing(&world).await;
    assert_eq!(marked_while_failing_entry(&world).get().await, None);
    world.fail(false);
    marked_while_failing(&world).await;
    assert_eq!(at_once(marked_while_failing(&world)), 2);
}

#[hybrid_cached(ttl = 60s, key = "one", cache = world.cache)]
async fn marked_while_failing(world: &World) -> u64 {
    let number = world.load("one").await;
    if world.is_failing() {
        no_cache();
    }
    number
}
