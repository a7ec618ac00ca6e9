//! Functions that give the same explicit name by mistake: their types differ, and they never mix.

use hybridcache::{LoadError, NoCache, hybrid_cached};

use crate::world::{World, pass, secs, settle};

#[hybrid_cached(ttl = 60s, fresh_for = 10s, key = "{id}", name = "mixed", cache = world.cache)]
async fn number(world: &World, id: u64) -> u64 {
    world.load("number").await
}

#[hybrid_cached(ttl = 60s, fresh_for = 10s, key = "{id}", name = "mixed", cache = world.cache)]
async fn text(world: &World, id: u64) -> String {
    world.load("text").await;
    id.to_string()
}

#[hybrid_cached(ttl = 60s, fresh_for = 10s, key = "{id}", name = "mixed", cache = world.cache)]
async fn option(world: &World, id: u64) -> Option<u64> {
    world.load("option").await;
    Some(id)
}

#[hybrid_cached(ttl = 60s, key = "{id}", name = "mixed errors", cache = world.cache)]
async fn cloned_error(world: &World, id: u64) -> Result<u64, String> {
    let number = world.load("cloned").await;
    Err(format!("{id} {number}"))
}

#[hybrid_cached(ttl = 60s, key = "{id}", name = "mixed errors", cache = world.cache)]
async fn shared_error(world: &World, id: u64) -> anyhow::Result<u64> {
    let number = world.load("shared").await;
    Err(anyhow::anyhow!("{id} {number}"))
}

#[hybrid_cached(ttl = 60s, key = "{id}", name = "mixed errors", cache = world.cache)]
async fn no_error(world: &World, id: u64) -> u64 {
    world.load("none").await;
    id
}

#[hybrid_cached(ttl = 60s, timeout = 1s, key = "{id}", name = "mixed errors", cache = world.cache)]
async fn with_timeout(world: &World, id: u64) -> Result<u64, LoadError> {
    Ok(world.load(format!("with timeout {id}")).await)
}

/// Killed by: a downcast that is taken for granted.
#[tokio::test(start_paused = true)]
async fn values_of_other_types_are_misses() {
    let world = World::new().await;
    for _ in 0..2 {
        number(&world, 7).await;
        assert_eq!(text(&world, 7).await, "7");
        assert_eq!(option(&world, 7).await, Some(7));
    }
    let world = World::new().await;
    number(&world, 7).await;
    assert_eq!(text_entry(&world, 7).get().await, None);
    assert_eq!(number_entry(&world, 7).get().await, Some(1));
    text_entry(&world, 7).put("put".into()).await.unwrap();
    assert_eq!(number_entry(&world, 7).get().await, None);
    assert_eq!(number(&world, 7).await, 2);
}

#[tokio::test(start_paused = true)]
async fn stale_values_of_other_types_are_misses() {
    let world = World::new().await;
    number(&world, 7).await;
    pass(secs(10)).await;
    assert_eq!(text(&world, 7).await, "7");
    pass(secs(10)).await;
    assert_eq!(option(&world, 7).await, Some(7));
}

/// Killed by: joining a load whose outcome has another type.
#[tokio::test(start_paused = true)]
async fn loads_of_other_types_are_not_waited_for_in_vain() {
    let world = World::new().await;
    world.hold();
    let numbers: Vec<_> = (0..5).map(|_| world.call(|world| async move { number(&world, 7).await })).collect();
    world.until_loads(1).await;
    let texts: Vec<_> = (0..5).map(|_| world.call(|world| async move { text(&world, 7).await })).collect();
    let options: Vec<_> = (0..5).map(|_| world.call(|world| async move { option(&world, 7).await })).collect();
    settle().await;
    world.let_all_go();
    for caller in numbers {
        assert_eq!(caller.await.unwrap(), 1);
    }
    for caller in texts {
        assert_eq!(caller.await.unwrap(), "7");
    }
    for caller in options {
        assert_eq!(caller.await.unwrap(), Some(7));
    }
}

#[tokio::test(start_paused = true)]
async fn errors_of_other_types_lead_to_loads_of_ones_own() {
    let world = World::new().await;
    world.hold();
    let first = world.call(|world| async move { cloned_error(&world, 7).await });
    world.until_loads(1).await;
    let cloned = world.call(|world| async move { cloned_error(&world, 7).await });
    let shared = world.call(|world| async move { shared_error(&world, 7).await.map_err(|error| error.to_string()) });
    let none = world.call(|world| async move { no_error(&world, 7).await });
    settle().await;
    world.let_all_go();
    assert_eq!(first.await.unwrap(), Err("7 1".into()));
    assert_eq!(cloned.await.unwrap(), Err("7 1".into()));
    let error = shared.await.unwrap().unwrap_err();
    assert!(["7 2", "7 3"].contains(&error.as_str()), "{error}");
    assert_eq!(none.await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_function_that_cannot_time_out_does_not() {
    let world = World::new().await;
    world.hold();
    let first = world.call(|world| async move { with_timeout(&world, 7).await });
    world.until_loads(1).await;
    let none = world.call(|world| async move { no_error(&world, 7).await });
    settle().await;
    pass(secs(1)).await;
    assert!(matches!(first.await.unwrap(), Err(LoadError::TimedOut)));
    world.until_loads(2).await;
    world.let_all_go();
    assert_eq!(none.await.unwrap(), 7);
}

#[hybrid_cached(ttl = 60s, key = "{id}", name = "mixed", cache = world.cache)]
async fn not_stored(world: &World, id: u64) -> Result<Vec<u64>, NoCache<Vec<u64>>> {
    world.load("not stored").await;
    Err(NoCache(vec![id]))
}

#[tokio::test(start_paused = true)]
async fn what_is_not_stored_leaves_the_others_value() {
    let world = World::new().await;
    number(&world, 7).await;
    assert_eq!(not_stored(&world, 7).await.unwrap(), [7]);
    assert_eq!(number_entry(&world, 7).get().await, Some(1));
}
