//! Which cache a function uses: `cache = ..` in its many forms.

use std::sync::{Arc, LazyLock};

use hybridcache::{HybridCache, Memory, hybrid_cached};

use crate::world::{World, at_once};

/// A memory-only cache is built without waiting for anything.
static CACHE: LazyLock<HybridCache> = LazyLock::new(|| {
    at_once(HybridCache::builder().memory(Memory::entries(10)).build()).expect("the settings are right")
});

#[hybrid_cached(ttl = 60s, key = "{id}", cache = CACHE)]
async fn on_a_static(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = *CACHE)]
async fn on_a_static_behind_a_star(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = cache)]
async fn on_an_argument(cache: &HybridCache, world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = cache)]
async fn on_an_owned_argument(cache: HybridCache, world: World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = cache)]
async fn on_a_shared_argument(cache: Arc<HybridCache>, world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache.clone())]
async fn on_a_temporary(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = one_of_two(world, first))]
async fn on_one_of_two(world: &World, id: u64, first: bool) -> u64 {
    world.load(id).await
}

fn one_of_two(world: &World, first: bool) -> &HybridCache {
    if first { &world.cache } else { &CACHE }
}

#[tokio::test(start_paused = true)]
async fn each_way_to_name_a_cache() {
    let world = World::new().await;
    let cache = &world.cache;
    for _ in 0..2 {
        assert_eq!(on_a_static(&world, 7).await, 1);
        assert_eq!(on_a_static_behind_a_star(&world, 7).await, 2);
        assert_eq!(on_an_argument(cache, &world, 7).await, 3);
        assert_eq!(on_an_owned_argument(cache.clone(), world.clone(), 7).await, 4);
        assert_eq!(on_a_shared_argument(Arc::new(cache.clone()), &world, 7).await, 5);
        assert_eq!(on_a_temporary(&world, 7).await, 6);
        assert_eq!(on_one_of_two(&world, 7, true).await, 7);
        assert_eq!(on_one_of_two(&world, 7, false).await, 8);
    }
    assert_eq!(cache.stats().loads, 5);
    assert_eq!(CACHE.stats().loads, 3);
    assert_eq!(on_a_static_entry(7).get().await, Some(1));
    assert_eq!(on_an_argument_entry(cache, 7).get().await, Some(3));
    assert_eq!(on_one_of_two_entry(&world, 7, false).get().await, Some(8));
}

#[tokio::test(start_paused = true)]
async fn caches_share_nothing() {
    let world = World::new().await;
    let other = World::new().await;
    assert_eq!(on_an_argument(&world.cache, &world, 7).await, 1);
    assert_eq!(on_an_argument(&other.cache, &world, 7).await, 2);
    on_an_argument_entry(&world.cache, 7).invalidate().await.unwrap();
    assert_eq!(at_once(on_an_argument(&other.cache, &world, 7)), 2);
    world.hold();
    let one = world.call(|world| async move { on_an_argument(&world.cache, &world, 8).await });
    world.until_loads(3).await;
    let two = world.call(|world| async move { on_an_argument(&other.cache, &world, 8).await });
    world.until_loads(4).await;
    world.let_all_go();
    assert_eq!((one.await.unwrap(), two.await.unwrap()), (3, 4));
}

#[tokio::test(start_paused = true)]
async fn clones_are_the_same_cache() {
    let world = World::new().await;
    let clone = world.cache.clone();
    on_an_argument(&world.cache, &world, 7).await;
    assert_eq!(at_once(on_an_argument(&clone, &world, 7)), 1);
    clone.clear().await.unwrap();
    assert_eq!(on_an_argument(&world.cache, &world, 7).await, 2);
}
