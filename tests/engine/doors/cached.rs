//! The same functions without it.

use hybridcache::CacheEntry;

use super::*;

fn numbers(world: &World) -> Cached<u64, u64> {
    world.cache.cached("number").ttl(secs(60)).fresh_for(secs(10)).build().unwrap()
}

pub async fn number(world: &World, id: u64) -> u64 {
    numbers(world).get_or_insert_with(&id, world, |world, id| async move { world.load(id).await }).await
}

pub fn number_entry(world: &World, id: u64) -> CacheEntry<u64> {
    numbers(world).entry(&id)
}

pub async fn fallible(world: &World, id: u64) -> Result<u64, LoadError> {
    let cached = world.cache.cached("fallible").ttl(secs(60)).fresh_for(secs(10)).timeout(secs(5));
    cached.build().unwrap().get_or_load(&id, world, super::load).await
}

pub async fn cloning(world: &World, id: u64) -> Result<u64, Cloned> {
    let cached = world.cache.cached("cloning").ttl(secs(60)).build().unwrap();
    cached.get_or_load_cloning(&id, world, super::load_cloning).await
}

pub async fn provisional(world: &World, id: u64) -> Result<u64, NoCache<u64>> {
    let cached = world.cache.cached("provisional").ttl(secs(60)).build().unwrap();
    cached.get_or_load(&id, world, super::load_provisional).await
}

pub async fn marked(world: &World, id: u64) -> u64 {
    let cached = world.cache.cached("marked").ttl(secs(60)).build().unwrap();
    cached.get_or_insert_with(&id, world, super::load_marked).await
}

pub async fn absent(world: &World, id: u64) -> Option<u64> {
    let cached = world.cache.cached("absent").ttl(secs(60)).none_ttl(secs(5)).min_cost(secs(2)).build().unwrap();
    cached.get_or_insert_with(&id, world, super::load_absent).await
}

pub async fn early(world: &World, id: u64) -> u64 {
    let cached = world.cache.cached("early").ttl(secs(60)).fresh_for(secs(10));
    let cached = cached.refresh_ahead_percent(20).soft_timeout(secs(3)).build().unwrap();
    cached.get_or_insert_with(&id, world, super::load_slowly).await
}

pub async fn kept(world: &World, id: u64) -> Result<u64, Cloned> {
    let cached = world.cache.cached("kept").ttl(secs(60)).err_ttl(secs(5)).build().unwrap();
    cached.get_or_load_cloning(&id, world, super::load_cloning).await
}

pub async fn jittered(world: &World, id: u64) -> u64 {
    let cached = world.cache.cached("jittered").ttl(secs(60)).jitter_percent(50).build().unwrap();
    cached.get_or_insert_with(&id, world, |world, id| async move { world.load(id).await }).await
}

pub async fn tagged(world: &World, id: u64) -> u64 {
    let tags = |id: &u64| vec![format!("shard:{id}"), "all".to_owned()];
    let cached = world.cache.cached("tagged").ttl(secs(60)).tags(tags).build().unwrap();
    cached.get_or_insert_with(&id, world, |world, id| async move { world.load(id).await }).await
}

pub async fn weighed(world: &World, id: u64) -> usize {
    let cached = world.cache.cached("weighed").ttl(secs(60)).weigh(|weight: &usize| *weight);
    let load = |world: World, id| async move {
        world.load(id).await;
        1 << 20
    };
    cached.build_in_memory().unwrap().get_or_insert_with(&id, world, load).await
}

#[allow(clippy::duplicate_mod, reason = "the same tests for each door")]
#[path = "behaviour.rs"]
mod behaviour;
