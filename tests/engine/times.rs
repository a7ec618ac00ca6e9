//! Durations as literals, constants and expressions.

use std::sync::LazyLock;
use std::time::Duration;

use hybridcache::{LoadError, hybrid_cached};

use crate::world::{World, at_once, millis, pass, secs, settle};

const TTL: Duration = Duration::from_secs(60);
const FRESH_FOR: Duration = Duration::from_secs(10);
static CONFIGURED: LazyLock<Duration> = LazyLock::new(|| Duration::from_secs(10));

mod limits {
    use std::time::Duration;

    pub const MINUTES: u64 = 1;
    pub static FRESH_FOR: Duration = Duration::from_secs(10);
}

#[hybrid_cached(ttl = 1m, fresh_for = 10s, key = "{id}", cache = world.cache)]
async fn literals(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = 0m60s, fresh_for = 10_000ms, key = "{id}", cache = world.cache)]
async fn compound_literals(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = TTL, fresh_for = FRESH_FOR, key = "{id}", cache = world.cache)]
async fn constants(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(
    ttl = Duration::from_secs(60 * limits::MINUTES), fresh_for = Duration::new(10, 0), key = "{id}", cache = world.cache
)]
async fn constructors(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = TTL, fresh_for = *CONFIGURED, key = "{id}", cache = world.cache)]
async fn lazy_static(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = 60s, fresh_for = limits::FRESH_FOR, key = "{id}", cache = world.cache)]
async fn plain_static(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = 6 * FRESH_FOR, fresh_for = TTL / 6, key = "{id}", cache = world.cache)]
async fn arithmetic(world: &World, id: u64) -> u64 {
    world.load(id).await
}

fn minute() -> Duration {
    Duration::from_secs(60)
}

#[hybrid_cached(ttl = minute(), fresh_for = minute() / 6, key = "{id}", cache = world.cache)]
async fn calls(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[derive(Clone)]
struct Configured {
    world: World,
    ttl: Duration,
    fresh_for: Duration,
}

impl Configured {
    const TTL: Duration = Duration::from_secs(60);

    #[hybrid_cached(ttl = self.ttl, fresh_for = self.fresh_for, key = "{id}", skip(self), cache = self.world.cache)]
    async fn of_self(&self, id: u64) -> u64 {
        self.world.load(id).await
    }

    #[hybrid_cached(ttl = Self::TTL, fresh_for = FRESH_FOR, key = "{id}", cache = world.cache)]
    async fn associated_constant(world: &World, id: u64) -> u64 {
        world.load(id).await
    }
}

/// What all of the above have in common: fresh for 10 s, gone after 60.
macro_rules! fresh_for_ten_of_sixty_seconds {
    ($call:expr) => {{
        let world = World::new().await;
        let call: fn(&World) -> std::pin::Pin<Box<dyn Future<Output = u64> + Send + '_>> = $call;
        assert_eq!(call(&world).await, 1);
        pass(secs(10) - millis(1)).await;
        assert_eq!(at_once(call(&world)), 1);
        settle().await;
        assert_eq!(world.loads(), 1, "fresh");
        pass(millis(1)).await;
        world.hold();
        assert_eq!(at_once(call(&world)), 1);
        world.until_loads(2).await;
        pass(secs(50) - millis(1)).await;
        assert_eq!(at_once(call(&world)), 1, "stale");
        pass(millis(1)).await;
        let gone = Box::pin(call(&world));
        world.let_all_go();
        assert_eq!(gone.await, 2, "gone");
    }};
}

#[tokio::test(start_paused = true)]
async fn each_way_to_write_a_duration() {
    fresh_for_ten_of_sixty_seconds!(|world| Box::pin(literals(world, 7)));
    fresh_for_ten_of_sixty_seconds!(|world| Box::pin(compound_literals(world, 7)));
    fresh_for_ten_of_sixty_seconds!(|world| Box::pin(constants(world, 7)));
    fresh_for_ten_of_sixty_seconds!(|world| Box::pin(constructors(world, 7)));
    fresh_for_ten_of_sixty_seconds!(|world| Box::pin(lazy_static(world, 7)));
    fresh_for_ten_of_sixty_seconds!(|world| Box::pin(plain_static(world, 7)));
    fresh_for_ten_of_sixty_seconds!(|world| Box::pin(arithmetic(world, 7)));
    fresh_for_ten_of_sixty_seconds!(|world| Box::pin(calls(world, 7)));
    fresh_for_ten_of_sixty_seconds!(|world| Box::pin(Configured::associated_constant(world, 7)));
    fresh_for_ten_of_sixty_seconds!(|world| Box::pin(async move {
        Configured { world: world.clone(), ttl: TTL, fresh_for: FRESH_FOR }.of_self(7).await
    }));
}

#[hybrid_cached(ttl = ttl, fresh_for = fresh_for, timeout = Duration::from_secs(timeout), key = "{id}", cache = world.cache)]
async fn of_arguments(
    world: &World,
    id: u64,
    ttl: Duration,
    fresh_for: Duration,
    timeout: u64,
) -> Result<u64, LoadError> {
    Ok(world.load(id).await)
}

#[tokio::test(start_paused = true)]
async fn durations_computed_from_arguments() {
    let world = World::new().await;
    of_arguments(&world, 1, secs(60), secs(10), 5).await.unwrap();
    of_arguments(&world, 2, secs(5), secs(5), 5).await.unwrap();
    pass(secs(5)).await;
    assert_eq!(at_once(of_arguments(&world, 1, secs(60), secs(10), 5)).unwrap(), 1);
    assert_eq!(of_arguments(&world, 2, secs(5), secs(5), 5).await.unwrap(), 3);
    world.hold();
    let caller = world.call(|world| async move { of_arguments(&world, 3, secs(60), secs(60), 9).await });
    world.until_loads(4).await;
    pass(secs(9) - millis(1)).await;
    assert!(!caller.is_finished());
    pass(millis(1)).await;
    assert!(matches!(caller.await.unwrap(), Err(LoadError::TimedOut)));
    of_arguments_entry(&world, 4, secs(2), secs(1)).put(9).await.unwrap();
    pass(secs(2)).await;
    assert_eq!(of_arguments_entry(&world, 4, secs(2), secs(1)).get().await, None, "the handle has them too");
}

#[tokio::test(start_paused = true)]
async fn a_computed_fresh_for_is_clamped_to_ttl() {
    let world = World::new().await;
    of_arguments(&world, 7, secs(10), secs(60), 5).await.unwrap();
    pass(secs(10) - millis(1)).await;
    assert_eq!(at_once(of_arguments(&world, 7, secs(10), secs(60), 5)).unwrap(), 1);
    settle().await;
    assert_eq!(world.loads(), 1);
    pass(millis(1)).await;
    assert_eq!(of_arguments(&world, 7, secs(10), secs(60), 5).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn extreme_durations_are_no_error() {
    let world = World::new().await;
    assert_eq!(of_arguments(&world, 1, Duration::MAX, Duration::MAX, 5).await.unwrap(), 1);
    pass(secs(3_000_000_000)).await;
    assert_eq!(at_once(of_arguments(&world, 1, Duration::MAX, Duration::MAX, 5)).unwrap(), 1);
    assert_eq!(of_arguments(&world, 2, Duration::ZERO, Duration::ZERO, 5).await.unwrap(), 2);
    pass(secs(1)).await;
    assert_eq!(of_arguments(&world, 2, Duration::ZERO, Duration::ZERO, 5).await.unwrap(), 3);
    assert_eq!(of_arguments(&world, 3, secs(60), Duration::from_nanos(1), 5).await.unwrap(), 4);
}

#[hybrid_cached(ttl = 100ms, key = "{id}", cache = world.cache)]
async fn short(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = 1.5s, key = "{id}", cache = world.cache)]
async fn fractional(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = 7d, fresh_for = 1h30m, key = "{id}", cache = world.cache)]
async fn long(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[tokio::test(start_paused = true)]
async fn units() {
    let world = World::new().await;
    assert_eq!((short(&world, 1).await, fractional(&world, 1).await, long(&world, 1).await), (1, 2, 3));
    pass(millis(99)).await;
    assert_eq!((short(&world, 1).await, fractional(&world, 1).await, long(&world, 1).await), (1, 2, 3));
    pass(millis(1)).await;
    assert_eq!((short(&world, 1).await, fractional(&world, 1).await, long(&world, 1).await), (4, 2, 3));
    pass(millis(1_400)).await;
    assert_eq!((fractional(&world, 1).await, long(&world, 1).await), (5, 3));
    pass(secs(5_400) - millis(1_501)).await;
    long(&world, 1).await;
    settle().await;
    assert_eq!(world.loads(), 5);
    pass(millis(1)).await;
    assert_eq!(long(&world, 1).await, 3);
    world.until_loads(6).await;
    pass(secs(7 * 24 * 3600)).await;
    assert_eq!(long(&world, 1).await, 7);
}
