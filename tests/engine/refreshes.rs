//! A background refresh that does not bring a new value leaves the stale one in service.

use hybridcache::{LoadError, NoCache, hybrid_cached};

use crate::world::{World, at_once, millis, pass, secs, settle};

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
enum Failure {
    #[error("down")]
    Down,
    #[error("panics")]
    Panics,
    #[error("load: {0}")]
    Load(String),
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::Load(error.to_string())
    }
}

#[hybrid_cached(ttl = 1h, fresh_for = 10s, timeout = 5s, key = "{id}", cache = world.cache)]
async fn fallible(world: &World, id: u64, fails_with: Option<Failure>) -> Result<u64, Failure> {
    let number = world.load(id).await;
    match fails_with {
        _ if !world.is_failing() => Ok(number),
        Some(Failure::Panics) => panic!("boom"),
        Some(failure) => Err(failure),
        None => Err(NoCache(number)),
    }
}

async fn stale(world: &World) {
    assert_eq!(fallible(world, 7, None).await, Ok(1));
    pass(secs(10)).await;
    world.fail(true);
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_refresh_the_stale_value_goes_on() {
    let world = World::new().await;
    stale(&world).await;
    assert_eq!(at_once(fallible(&world, 7, Some(Failure::Down))), Ok(1));
    world.until_loads(2).await;
    assert_eq!(at_once(fallible(&world, 7, Some(Failure::Down))), Ok(1));
    world.fail(false);
    pass(secs(1)).await;
    assert_eq!(at_once(fallible(&world, 7, None)), Ok(1));
    world.until_loads(3).await;
    assert_eq!(at_once(fallible(&world, 7, None)), Ok(3), "the next attempt that succeeds counts");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_panics_is_a_failed_one() {
    let world = World::new().await;
    stale(&world).await;
    assert_eq!(at_once(fallible(&world, 7, Some(Failure::Panics))), Ok(1));
    world.until_loads(2).await;
    assert_eq!(at_once(fallible(&world, 7, Some(Failure::Panics))), Ok(1));
    settle().await;
    assert_eq!(world.loads(), 2, "the next attempt waits");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_times_out_is_a_failed_one() {
    let world = World::new().await;
    stale(&world).await;
    world.hold();
    assert_eq!(at_once(fallible(&world, 7, None)), Ok(1));
    world.until_loads(2).await;
    pass(secs(5)).await;
    assert_eq!(world.running(), 0, "the load was dropped");
    assert_eq!(at_once(fallible(&world, 7, None)), Ok(1));
    settle().await;
    assert_eq!(world.loads(), 2, "the next attempt waits");
    pass(secs(1)).await;
    assert_eq!(at_once(fallible(&world, 7, None)), Ok(1));
    world.until_loads(3).await;
}

/// Killed by: storing what a refresh marked as not to be stored, and by removing the old entry then.
#[tokio::test(start_paused = true)]
async fn a_refresh_that_is_not_to_be_stored_leaves_the_old_value_to_its_own_lifetime() {
    let world = World::new().await;
    stale(&world).await;
    assert_eq!(at_once(fallible(&world, 7, None)), Ok(1));
    world.until_loads(2).await;
    assert_eq!(fallible_entry(&world, 7).get().await, Some(1));
    assert_eq!(at_once(fallible(&world, 7, None)), Ok(1));
    pass(secs(3580)).await;
    assert_eq!(at_once(fallible(&world, 7, None)), Ok(1), "10 s before its end");
    settle().await;
    pass(secs(10)).await;
    assert_eq!(fallible_entry(&world, 7).get().await, None, "it lived no longer than it should");
}

/// Callers who find the entry gone while its refresh runs have joined that load and get its outcome.
#[tokio::test(start_paused = true)]
async fn a_failed_refresh_is_an_error_once_nothing_is_cached() {
    let world = World::new().await;
    stale(&world).await;
    pass(secs(3588)).await;
    world.hold();
    assert_eq!(at_once(fallible(&world, 7, Some(Failure::Down))), Ok(1));
    world.until_loads(2).await;
    pass(secs(2)).await;
    let callers: Vec<_> =
        (0..3).map(|_| world.call(|world| async move { fallible(&world, 7, Some(Failure::Down)).await })).collect();
    settle().await;
    world.let_go(2);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Err(Failure::Down));
    }
    assert_eq!(world.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_new_entry_starts_without_the_failures_of_the_old_one() {
    let world = World::new().await;
    stale(&world).await;
    for _ in 0..6 {
        assert!(at_once(fallible(&world, 7, Some(Failure::Down))).is_ok());
        settle().await;
        pass(secs(30)).await;
    }
    world.fail(false);
    let before = world.loads();
    assert_eq!(at_once(fallible(&world, 7, None)), Ok(1));
    world.until_loads(before + 1).await;
    pass(secs(10)).await;
    world.fail(true);
    assert_eq!(at_once(fallible(&world, 7, Some(Failure::Down))), Ok(before + 1));
    world.until_loads(before + 2).await;
    pass(secs(1) + millis(1)).await;
    assert!(at_once(fallible(&world, 7, Some(Failure::Down))).is_ok());
    world.until_loads(before + 3).await;
}
