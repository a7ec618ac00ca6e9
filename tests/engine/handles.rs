//! What a handle reads and writes.

use std::sync::Arc;

use hybridcache::{CacheEntry, NoCache, hybrid_cached};

use crate::world::{World, at_once, millis, pass, secs, settle};

#[hybrid_cached(ttl = 60s, fresh_for = 10s, key = "value:{id}", cache = world.cache)]
async fn value(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = 60s, fresh_for = 10s, key = "{id}", cache = world.cache)]
async fn fallible(world: &World, id: u64) -> anyhow::Result<String> {
    Ok(world.load(id).await.to_string())
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn optional(world: &World, id: u64) -> Option<String> {
    let number = world.load(id).await;
    (id != 0).then(|| number.to_string())
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn optional_result(world: &World, id: u64) -> Result<Option<u64>, String> {
    let number = world.load(id).await;
    Ok((id != 0).then_some(number))
}

#[tokio::test(start_paused = true)]
async fn get_never_loads() {
    let world = World::new().await;
    assert_eq!(value_entry(&world, 7).get().await, None);
    settle().await;
    assert_eq!(world.loads(), 0);
    value(&world, 7).await;
    assert_eq!(at_once(value_entry(&world, 7).get()), Some(1));
    pass(secs(10)).await;
    assert_eq!(value_entry(&world, 7).get().await, Some(1), "stale");
    settle().await;
    assert_eq!(world.loads(), 1, "and no refresh");
    pass(secs(50)).await;
    assert_eq!(value_entry(&world, 7).get().await, None, "expired");
}

#[tokio::test(start_paused = true)]
async fn get_does_not_wait_for_a_load() {
    let world = World::new().await;
    world.hold();
    let caller = world.call(|world| async move { value(&world, 7).await });
    world.until_loads(1).await;
    assert_eq!(at_once(value_entry(&world, 7).get()), None);
    world.let_all_go();
    caller.await.unwrap();
}

/// The type of what is cached: the `Ok` type of a result, else all that the function returns.
#[tokio::test(start_paused = true)]
async fn get_distinguishes_a_stored_none_from_nothing() {
    let world = World::new().await;
    let nothing: Option<Option<String>> = optional_entry(&world, 0).get().await;
    assert_eq!(nothing, None);
    assert_eq!(optional(&world, 0).await, None);
    assert_eq!(optional_entry(&world, 0).get().await, Some(None));
    assert_eq!(optional(&world, 1).await.as_deref(), Some("2"));
    assert_eq!(optional_entry(&world, 1).get().await, Some(Some("2".to_owned())));
    assert_eq!(at_once(optional(&world, 0)), None, "a stored `None` is a hit");
    assert_eq!(world.loads(), 2);

    optional_result(&world, 0).await.unwrap();
    let stored: Option<Option<u64>> = optional_result_entry(&world, 0).get().await;
    assert_eq!(stored, Some(None));
    fallible(&world, 1).await.unwrap();
    let stored: Option<String> = fallible_entry(&world, 1).get().await;
    assert_eq!(stored.as_deref(), Some("4"));
}

#[tokio::test(start_paused = true)]
async fn put_stores_as_if_just_loaded() {
    let world = World::new().await;
    value_entry(&world, 7).put(99).await.unwrap();
    assert_eq!(at_once(value(&world, 7)), 99);
    pass(secs(10) - millis(1)).await;
    assert_eq!(at_once(value(&world, 7)), 99);
    settle().await;
    assert_eq!(world.loads(), 0);
    pass(millis(1)).await;
    assert_eq!(at_once(value(&world, 7)), 99, "stale");
    world.until_loads(1).await;
    assert_eq!(at_once(value(&world, 7)), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_put_ends_with_its_ttl() {
    let world = World::new().await;
    value_entry(&world, 7).put(99).await.unwrap();
    pass(secs(60)).await;
    assert_eq!(value(&world, 7).await, 1);
}

#[tokio::test(start_paused = true)]
async fn put_replaces() {
    let world = World::new().await;
    fallible(&world, 7).await.unwrap();
    fallible_entry(&world, 7).put("put".to_owned()).await.unwrap();
    assert_eq!(at_once(fallible(&world, 7)).unwrap(), "put");
    optional_entry(&world, 7).put(None).await.unwrap();
    assert_eq!(at_once(optional(&world, 7)), None);
    optional_entry(&world, 7).put(Some("some".to_owned())).await.unwrap();
    assert_eq!(at_once(optional(&world, 7)).as_deref(), Some("some"));
}

/// Killed by: storing without a look whether the flight is still attached.
#[tokio::test(start_paused = true)]
async fn a_load_that_began_before_does_not_replace_what_was_put() {
    let world = World::new().await;
    world.hold();
    let before = world.call(|world| async move { value(&world, 7).await });
    world.until_loads(1).await;
    value_entry(&world, 7).put(99).await.unwrap();
    assert_eq!(at_once(value(&world, 7)), 99);
    world.let_go(1);
    before.await.unwrap();
    assert_eq!(at_once(value(&world, 7)), 99);
    assert_eq!(world.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_began_before_does_not_replace_what_was_put() {
    let world = World::new().await;
    value(&world, 7).await;
    pass(secs(10)).await;
    world.hold();
    assert_eq!(value(&world, 7).await, 1);
    world.until_loads(2).await;
    value_entry(&world, 7).put(99).await.unwrap();
    world.let_all_go();
    settle().await;
    assert_eq!(at_once(value(&world, 7)), 99);
}

#[tokio::test(start_paused = true)]
async fn what_was_put_can_be_invalidated_and_expired() {
    let world = World::new().await;
    let entry: CacheEntry<u64> = value_entry(&world, 7);
    entry.put(98).await.unwrap();
    entry.expire().await.unwrap();
    assert_eq!(at_once(value(&world, 7)), 98);
    world.until_loads(1).await;
    entry.put(99).await.unwrap();
    entry.invalidate().await.unwrap();
    assert_eq!(value(&world, 7).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_handle_can_be_kept_cloned_and_sent() {
    let world = World::new().await;
    let entry = value_entry(&world, 7);
    let cloned = entry.clone();
    tokio::spawn(async move { cloned.put(5).await }).await.unwrap().unwrap();
    assert_eq!(entry.get().await, Some(5));
    entry.invalidate().await.unwrap();
    value(&world, 7).await;
    assert_eq!(entry.get().await, Some(1));
    assert_eq!(entry.key(), "value:7");
    assert!(format!("{entry:?}").contains("CacheEntry"));
}

#[hybrid_cached(ttl = 60s, key = "{id}", tier = memory, cache = world.cache)]
async fn shared(world: &World, id: u64) -> Arc<[u64]> {
    Arc::from([world.load(id).await])
}

#[tokio::test(start_paused = true)]
async fn get_and_hits_share_what_was_put() {
    let world = World::new().await;
    let put: Arc<[u64]> = Arc::from([9]);
    shared_entry(&world, 7).put(put.clone()).await.unwrap();
    assert!(Arc::ptr_eq(&shared(&world, 7).await, &put));
    assert!(Arc::ptr_eq(&shared_entry(&world, 7).get().await.unwrap(), &put));
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn never_stored(world: &World, id: u64) -> Result<u64, NoCache<u64>> {
    Err(NoCache(world.load(id).await))
}

#[tokio::test(start_paused = true)]
async fn what_a_load_does_not_store_can_be_put() {
    let world = World::new().await;
    assert_eq!(never_stored(&world, 7).await.unwrap(), 1);
    assert_eq!(never_stored_entry(&world, 7).get().await, None);
    never_stored_entry(&world, 7).put(99).await.unwrap();
    assert_eq!(at_once(never_stored(&world, 7)).unwrap(), 99);
}
