//! Two doors to one engine, the attribute and `Cached`: the same behaviour, from one source (`behaviour.rs`).

use std::sync::Arc;

use allocation_counter::measure;
use hybridcache::{Cached, HybridCache, Load, LoadError, Loading, NoCache, hybrid_cached, no_cache};

use crate::errors::Original;
use crate::world::{World, at_once, secs, settle};

mod attribute;
mod cached;

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("load {0} failed")]
struct Cloned(u64);

impl From<LoadError> for Cloned {
    fn from(error: LoadError) -> Self {
        panic!("not one that timed out: {error}")
    }
}

async fn load(world: World, id: u64) -> Result<u64, LoadError> {
    let number = world.load(id).await;
    if world.is_failing() { Err(LoadError::Failed(Arc::new(Original(number)))) } else { Ok(number) }
}

async fn load_cloning(world: World, id: u64) -> Result<u64, Cloned> {
    let number = world.load(id).await;
    if world.is_failing() { Err(Cloned(number)) } else { Ok(number) }
}

async fn load_provisional(world: World, id: u64) -> Result<u64, NoCache<u64>> {
    let number = world.load(id).await;
    if id == 0 { Err(NoCache(number)) } else { Ok(number) }
}

async fn load_marked(world: World, id: u64) -> u64 {
    if id == 0 {
        no_cache();
    }
    world.load(id).await
}

/// Takes three seconds, or one for the id 9.
async fn load_absent(world: World, id: u64) -> Option<u64> {
    tokio::time::sleep(secs(if id == 9 { 1 } else { 3 })).await;
    let number = world.load(id).await;
    (id != 0).then_some(number)
}

/// Takes a second.
async fn load_slowly(world: World, id: u64) -> u64 {
    tokio::time::sleep(secs(1)).await;
    world.load(id).await
}

/// Killed by: a site for each `build`; a hash of the name without the version.
#[tokio::test(start_paused = true)]
async fn both_doors_lead_to_one_entry_if_name_version_and_key_are_the_same() {
    let world = World::new().await;
    assert_eq!(attribute::number(&world, 7).await, 1);
    assert_eq!(at_once(cached::number(&world, 7)), 1);
    cached::number_entry(&world, 7).invalidate().await.unwrap();
    assert_eq!(attribute::number_entry(&world, 7).get().await, None);
    let other: Cached<u64, u64> = world.cache.cached("number").version(1).ttl(secs(60)).build().unwrap();
    cached::number(&world, 7).await;
    assert_eq!(other.get(&7).await, None);
}

#[tokio::test(start_paused = true)]
async fn callers_of_both_doors_share_a_load() {
    let world = World::new().await;
    world.hold();
    let first = world.call(|world| async move { attribute::number(&world, 7).await });
    world.until_loads(1).await;
    let second = world.call(|world| async move { cached::number(&world, 7).await });
    settle().await;
    world.let_all_go();
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (1, 1));
}

/// Killed by: `to_owned` of the key or the context before the look into memory.
#[tokio::test(start_paused = true)]
async fn a_hit_allocates_and_clones_nothing() {
    struct Counts;
    impl Clone for Counts {
        fn clone(&self) -> Self {
            panic!("a hit clones the context")
        }
    }
    let cache = HybridCache::builder().build().await.unwrap();
    let names: Cached<str, Arc<str>> = cache.cached("name").ttl(secs(60)).build().unwrap();
    names.put("a name", "value".into()).await.unwrap();
    let hit = async || names.get_or_insert_with("a name", &Counts, |_, _| async { unreachable!() }).await;
    assert_eq!(&*hit().await, "value");
    let made = measure(|| (0..1_000).for_each(|_| drop(at_once(hit()))));
    assert_eq!(made.count_total, 0);
}

struct Shop {
    users: Arc<dyn Load<u64, String, LoadError>>,
}

/// A field of a struct, which a test can replace.
#[tokio::test(start_paused = true)]
async fn a_loader_is_a_field_of_a_struct() {
    let world = World::new().await;
    let loader = world.clone();
    let users = world.cache.cached("user").ttl(secs(60)).build().unwrap();
    let users: Loading<u64, String, LoadError> = users.with_loader(move |id| {
        let world = loader.clone();
        async move { Ok(format!("{id} by load {}", world.load(id).await)) }
    });
    let shop = Shop { users: Arc::new(users.clone()) };
    assert_eq!(shop.users.load(&7).await.unwrap(), "7 by load 1");
    assert_eq!(users.load(&7).await.unwrap(), "7 by load 1");
    users.cached().invalidate(&7).await.unwrap();
    assert_eq!(shop.users.load(&7).await.unwrap(), "7 by load 2");

    struct Fixed;
    impl Load<u64, String, LoadError> for Fixed {
        fn load<'a>(
            &'a self,
            key: &'a u64,
        ) -> std::pin::Pin<Box<dyn Future<Output = Result<String, LoadError>> + Send + 'a>> {
            Box::pin(async move { Ok(format!("fixed {key}")) })
        }
    }
    assert_eq!(Shop { users: Arc::new(Fixed) }.users.load(&7).await.unwrap(), "fixed 7");
}

#[tokio::test(start_paused = true)]
async fn bad_settings_are_named() {
    let cache = HybridCache::builder().build().await.unwrap();
    let named = |name: &str| cache.cached::<u64, u64>(name);
    for (builder, expected) in [
        (named("a"), "ttl: of `a`, it is missing"),
        (named("a").ttl(secs(0)), "ttl: of `a`, it must be longer than zero"),
        (named("a").ttl(secs(1)).fresh_for(secs(0)), "fresh_for: of `a`, it must be longer than zero"),
        (named("a").ttl(secs(1)).timeout(secs(0)), "timeout: of `a`, it must be longer than zero"),
        (named("a").ttl(secs(1)).fresh_for(secs(2)), "fresh_for: of `a`, 2s is longer than `ttl` (1s)"),
        (named("a").ttl(secs(1)).jitter_percent(100), "jitter_percent: of `a`, it must be from 1 to 99"),
        (named("a").ttl(secs(1)).soft_timeout(secs(1)), "soft_timeout: of `a`: no value is ever stale"),
        (named("a").ttl(secs(1)).refresh_ahead_by(secs(1)), "refresh_ahead_by: of `a`: it must be shorter"),
        (named("a").ttl(secs(1)).refresh_ahead_percent(0), "refresh_ahead_percent: of `a`, it must be from 1 to 99"),
        (named("").ttl(secs(1)), "cached: the name is empty"),
    ] {
        let error = builder.build().unwrap_err();
        assert!(error.is_config() && error.to_string().starts_with(expected), "{error}");
    }
}
