//! `err_ttl`: an error is given again for a while, without a load.

use std::time::Duration;

use hybridcache::{LoadError, NoCache, hybrid_cached};

use crate::world::{World, at_once, millis, pass, secs, settle};

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
enum Failure {
    #[error("down at load {0}")]
    Down(u64),
    #[error("too slow")]
    TooSlow,
}

impl From<LoadError> for Failure {
    fn from(_: LoadError) -> Self {
        Self::TooSlow
    }
}

#[hybrid_cached(
    ttl = 1h, fresh_for = 1m, timeout = 5s, err_ttl = 10s, key = "{id}", tags = ["t:{id}"], cache = world.cache
)]
async fn fallible(world: &World, id: u64) -> Result<u64, Failure> {
    let number = world.load(id).await;
    if world.is_failing() { Err(Failure::Down(number)) } else { Ok(number) }
}

/// A thousand calls on a dead backend are one load in each window, alone and all at once.
///
/// Killed by: the option ignored; an error that goes to one caller only; a window that each call prolongs.
#[tokio::test(start_paused = true)]
async fn a_dead_backend_is_asked_once_in_a_window() {
    let world = World::new().await;
    world.fail(true);
    for window in 1..=3 {
        for _ in 0..500 {
            assert_eq!(fallible(&world, 7).await, Err(Failure::Down(window)));
        }
        let calls: Vec<_> = (0..500).map(|_| world.call(|world| async move { fallible(&world, 7).await })).collect();
        for call in calls {
            assert_eq!(call.await.unwrap(), Err(Failure::Down(window)));
        }
        pass(secs(10) - millis(1)).await;
        assert_eq!(at_once(fallible(&world, 7)), Err(Failure::Down(window)));
        assert_eq!(world.loads(), window);
        pass(millis(1)).await;
    }
    world.fail(false);
    assert_eq!(fallible(&world, 7).await, Ok(4));
    let stats = world.cache.stats();
    assert_eq!((stats.hits_memory, stats.misses, stats.joined), (0, 4, 3 * 1_000));
}

/// Killed by: forgetting only values.
#[tokio::test(start_paused = true)]
async fn an_invalidation_forgets_the_error() {
    let world = World::new().await;
    for way in 0..6 {
        world.fail(true);
        assert!(fallible(&world, 7).await.is_err());
        let loads = world.loads();
        world.fail(false);
        let entry = fallible_entry(&world, 7);
        assert_eq!(entry.get().await, None, "an error is no value");
        match way {
            0 => entry.invalidate().await.unwrap(),
            1 => entry.expire().await.unwrap(),
            2 => world.cache.invalidate_tag("t:7").await.unwrap(),
            3 => world.cache.clear().await.unwrap(),
            4 => entry.put(0).await.unwrap(),
            _ => assert_eq!(hybridcache::refresh(fallible(&world, 7)).await, Ok(loads + 1)),
        }
        assert_eq!(fallible(&world, 7).await, Ok(if way == 4 { 0 } else { loads + 1 }), "{way}");
        entry.invalidate().await.unwrap();
    }
}

/// Killed by: an error that takes the place of a value.
#[tokio::test(start_paused = true)]
async fn a_value_goes_before_an_error() {
    let world = World::new().await;
    assert_eq!(fallible(&world, 7).await, Ok(1));
    world.fail(true);
    assert_eq!(hybridcache::refresh(fallible(&world, 7)).await, Err(Failure::Down(2)));
    assert_eq!(hybridcache::bypass(fallible(&world, 7)).await, Err(Failure::Down(3)));
    assert_eq!(at_once(fallible(&world, 7)), Ok(1));
    pass(secs(60)).await;
    assert_eq!(at_once(fallible(&world, 7)), Ok(1));
    world.until_loads(4).await;
    assert_eq!(at_once(fallible(&world, 7)), Ok(1), "the refresh has failed");
    assert_eq!(hybridcache::bypass(fallible(&world, 8)).await, Err(Failure::Down(5)));
    world.fail(false);
    assert_eq!(fallible(&world, 8).await, Ok(6), "what bypasses stores no error");
}

/// Killed by: remembering errors of the load only.
#[tokio::test(start_paused = true)]
async fn a_load_that_takes_too_long_is_an_error_too() {
    let world = World::new().await;
    world.hold();
    let caller = world.call(|world| async move { fallible(&world, 7).await });
    world.until_loads(1).await;
    pass(secs(5)).await;
    assert_eq!(caller.await.unwrap(), Err(Failure::TooSlow));
    assert_eq!(at_once(fallible(&world, 7)), Err(Failure::TooSlow));
    assert_eq!(world.loads(), 1);
}

/// Killed by: storing the error of a load that an invalidation has overtaken.
#[tokio::test(start_paused = true)]
async fn an_error_from_before_an_invalidation_is_not_kept() {
    let world = World::new().await;
    world.fail(true);
    world.hold();
    let caller = world.call(|world| async move { fallible(&world, 7).await });
    world.until_loads(1).await;
    fallible_entry(&world, 7).invalidate().await.unwrap();
    world.let_all_go();
    assert_eq!(caller.await.unwrap(), Err(Failure::Down(1)));
    assert_eq!(fallible(&world, 7).await, Err(Failure::Down(2)));
}

#[hybrid_cached(ttl = 1h, err_ttl = 10s, key = "{id}", cache = world.cache)]
async fn by_type(world: &World, id: u64) -> Result<u64, NoCache<u64>> {
    let number = world.load(id).await;
    if world.is_failing() { Err(LoadError::TimedOut.into()) } else { Ok(number) }
}

#[hybrid_cached(ttl = 1h, err_ttl = err_ttl, key = "{id}", cache = world.cache)]
async fn computed(world: &World, id: u64, err_ttl: Duration) -> Result<u64, Failure> {
    let number = world.load(id).await;
    Err(Failure::Down(number))
}

#[tokio::test(start_paused = true)]
async fn each_error_that_can_be_cloned() {
    let world = World::new().await;
    world.fail(true);
    assert!(by_type(&world, 7).await.is_err() && by_type(&world, 7).await.is_err());
    assert_eq!(world.loads(), 1);
    assert_eq!(computed(&world, 7, secs(5)).await, Err(Failure::Down(2)));
    assert_eq!(computed(&world, 7, secs(5)).await, Err(Failure::Down(2)));
    pass(secs(5)).await;
    assert_eq!(computed(&world, 7, Duration::ZERO).await, Err(Failure::Down(3)));
    settle().await;
    assert_eq!(computed(&world, 7, Duration::ZERO).await, Err(Failure::Down(4)), "zero keeps none");
}
