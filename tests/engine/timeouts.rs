//! The deadline of a load.

use std::time::Duration;

use hybridcache::{LoadError, NoCache, hybrid_cached};
use tokio::time::Instant;

use crate::world::{World, at_once, millis, pass, secs, settle};

#[derive(Clone, Debug, thiserror::Error)]
enum AppError {
    #[error(transparent)]
    Load(#[from] LoadError),
}

#[hybrid_cached(ttl = 60s, timeout = 2s, key = "{id}", cache = world.cache)]
async fn value(world: &World, id: u64) -> Result<u64, AppError> {
    Ok(world.load(id).await)
}

/// Killed by: no deadline; an outcome for the caller who started the load only.
#[tokio::test(start_paused = true)]
async fn a_load_that_takes_too_long_ends_for_everybody() {
    let world = World::new().await;
    world.hold();
    let callers: Vec<_> = (0..10).map(|_| world.call(|world| async move { value(&world, 7).await })).collect();
    world.until_loads(1).await;
    pass(secs(2) - millis(1)).await;
    assert!(callers.iter().all(|caller| !caller.is_finished()));
    pass(millis(1)).await;
    for caller in callers {
        assert!(matches!(caller.await.unwrap(), Err(AppError::Load(LoadError::TimedOut))));
    }
    assert_eq!(world.loads(), 1);
    assert_eq!(world.running(), 0, "the load was dropped");
}

#[tokio::test(start_paused = true)]
async fn the_key_is_free_at_once() {
    let world = World::new().await;
    world.hold();
    let first = world.call(|world| async move { value(&world, 7).await });
    world.until_loads(1).await;
    pass(secs(2)).await;
    first.await.unwrap().unwrap_err();
    world.let_all_go();
    let began = Instant::now();
    assert_eq!(value(&world, 7).await.unwrap(), 2);
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(at_once(value(&world, 7)).unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_ends_in_time_is_stored() {
    let world = World::new().await;
    world.hold();
    let caller = world.call(|world| async move { value(&world, 7).await });
    world.until_loads(1).await;
    pass(secs(2) - millis(1)).await;
    world.let_go(1);
    assert_eq!(caller.await.unwrap().unwrap(), 1);
    pass(secs(3)).await;
    assert_eq!(at_once(value(&world, 7)).unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_load_whose_caller_went_away_has_its_deadline_too() {
    let world = World::new().await;
    world.hold();
    let caller = world.call(|world| async move { value(&world, 7).await });
    world.until_loads(1).await;
    caller.abort();
    pass(secs(2)).await;
    assert_eq!(world.running(), 0);
}

#[hybrid_cached(ttl = 60s, timeout = 2s, key = "{id}", cache = world.cache)]
async fn with_anyhow(world: &World, id: u64) -> anyhow::Result<u64> {
    Ok(world.load(id).await)
}

#[hybrid_cached(ttl = 60s, timeout = 2s, key = "{id}", cache = world.cache)]
async fn with_box(world: &World, id: u64) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    Ok(world.load(id).await)
}

#[hybrid_cached(ttl = 60s, timeout = 2s, key = "{id}", cache = world.cache)]
async fn with_no_cache(world: &World, id: u64) -> Result<u64, NoCache<u64>> {
    Ok(world.load(id).await)
}

#[hybrid_cached(ttl = 60s, timeout = 2s, key = "{id}", cache = world.cache)]
async fn with_load_error(world: &World, id: u64) -> Result<u64, LoadError> {
    Ok(world.load(id).await)
}

#[tokio::test(start_paused = true)]
async fn every_error_type_shows_that_the_load_timed_out() {
    let world = World::new().await;
    world.hold();
    let anyhow = with_anyhow(&world, 7).await.unwrap_err();
    assert!(matches!(anyhow.downcast_ref(), Some(LoadError::TimedOut)));
    let boxed = with_box(&world, 7).await.unwrap_err();
    assert!(matches!(boxed.downcast_ref(), Some(LoadError::TimedOut)));
    let not_stored = with_no_cache(&world, 7).await.unwrap_err();
    assert!(matches!(not_stored.into_value(), Err(LoadError::TimedOut)));
    let load_error = with_load_error(&world, 7).await.unwrap_err();
    assert!(matches!(load_error, LoadError::TimedOut));
    assert_eq!(load_error.to_string(), "the load timed out");
}

#[hybrid_cached(ttl = 60s, timeout = Duration::MAX, key = "{id}", cache = world.cache)]
async fn patient(world: &World, id: u64) -> Result<u64, LoadError> {
    Ok(world.load(id).await)
}

#[hybrid_cached(ttl = Duration::MAX, fresh_for = Duration::MAX, timeout = patience, key = "{id}", cache = world.cache)]
async fn as_patient(world: &World, id: u64, patience: Duration) -> Result<u64, LoadError> {
    Ok(world.load(id).await)
}

#[tokio::test(start_paused = true)]
async fn no_deadline_is_too_far_away() {
    let world = World::new().await;
    assert_eq!(patient(&world, 7).await.unwrap(), 1);
    assert_eq!(as_patient(&world, 7, Duration::MAX).await.unwrap(), 2);
    assert_eq!(at_once(as_patient(&world, 7, Duration::MAX)).unwrap(), 2);
    settle().await;
}

/// Nested: the outer deadline ends the outer load only.
#[hybrid_cached(ttl = 60s, timeout = 1s, key = "{id}", cache = world.cache)]
async fn outer(world: &World, id: u64) -> Result<u64, AppError> {
    value(world, id).await
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_its_own_load_only() {
    let world = World::new().await;
    world.hold();
    let caller = world.call(|world| async move { outer(&world, 7).await });
    world.until_loads(1).await;
    pass(secs(1)).await;
    assert!(caller.await.unwrap().is_err());
    assert_eq!(world.running(), 1, "the inner load is detached");
    world.let_go(1);
    settle().await;
    assert_eq!(at_once(value(&world, 7)).unwrap(), 1);
}
