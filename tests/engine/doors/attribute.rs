//! Functions with the attribute.

use super::*;

#[hybrid_cached(ttl = 60s, fresh_for = 10s, name = "number", skip(world), cache = world.cache)]
pub async fn number(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = 60s, fresh_for = 10s, timeout = 5s, name = "fallible", key = "{id}", cache = world.cache)]
pub async fn fallible(world: &World, id: u64) -> Result<u64, LoadError> {
    super::load(world.clone(), id).await
}

#[hybrid_cached(ttl = 60s, name = "cloning", key = "{id}", cache = world.cache)]
pub async fn cloning(world: &World, id: u64) -> Result<u64, Cloned> {
    super::load_cloning(world.clone(), id).await
}

#[hybrid_cached(ttl = 60s, name = "provisional", key = "{id}", cache = world.cache)]
pub async fn provisional(world: &World, id: u64) -> Result<u64, NoCache<u64>> {
    super::load_provisional(world.clone(), id).await
}

#[hybrid_cached(ttl = 60s, name = "marked", key = "{id}", cache = world.cache)]
pub async fn marked(world: &World, id: u64) -> u64 {
    super::load_marked(world.clone(), id).await
}

#[hybrid_cached(ttl = 60s, none_ttl = 5s, min_cost = 2s, name = "absent", key = "{id}", cache = world.cache)]
pub async fn absent(world: &World, id: u64) -> Option<u64> {
    super::load_absent(world.clone(), id).await
}

#[hybrid_cached(ttl = 60s, fresh_for = 10s, refresh_ahead = 20%, soft_timeout = 3s, name = "early", key = "{id}", cache = world.cache)]
pub async fn early(world: &World, id: u64) -> u64 {
    super::load_slowly(world.clone(), id).await
}

#[hybrid_cached(ttl = 60s, err_ttl = 5s, name = "kept", key = "{id}", cache = world.cache)]
pub async fn kept(world: &World, id: u64) -> Result<u64, Cloned> {
    super::load_cloning(world.clone(), id).await
}

#[hybrid_cached(ttl = 60s, jitter = 50%, name = "jittered", key = "{id}", cache = world.cache)]
pub async fn jittered(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = 60s, name = "tagged", key = "{id}", tags = ["shard:{id}", "all"], cache = world.cache)]
pub async fn tagged(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = 60s, name = "weighed", key = "{id}", weigh = |weight: &usize| *weight, tier = memory, cache = world.cache)]
pub async fn weighed(world: &World, id: u64) -> usize {
    world.load(id).await;
    1 << 20
}

#[allow(clippy::duplicate_mod, reason = "the same tests for each door")]
#[path = "behaviour.rs"]
mod behaviour;
