//! What is stored of each kind of return type.

use std::convert::Infallible;
use std::sync::Arc;

use hybridcache::{NoCache, hybrid_cached, no_cache};

use crate::world::{World, at_once};

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn unit_result(world: &World, id: u64) -> Result<(), String> {
    world.load(id).await;
    if id == 0 { Err("zero".into()) } else { Ok(()) }
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn nested_result(world: &World, id: u64) -> Result<Result<u64, String>, String> {
    world.load(id).await;
    match id {
        0 => Err("outer".into()),
        1 => Ok(Err("inner".into())),
        _ => Ok(Ok(id)),
    }
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn option_of_result(world: &World, id: u64) -> Option<Result<u64, String>> {
    world.load(id).await;
    Some(Err("stored".into()))
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn option_of_option(world: &World, id: u64) -> Option<Option<u64>> {
    world.load(id).await;
    Some(None)
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn infallible(world: &World, id: u64) -> Result<u64, Infallible> {
    Ok(world.load(id).await)
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn std_result(world: &World, id: u64) -> std::io::Result<u64> {
    world.load(id).await;
    if id == 0 { Err(std::io::Error::other("zero")) } else { Ok(id) }
}

#[tokio::test(start_paused = true)]
async fn only_the_outermost_result_is_unwrapped() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(unit_result(&world, 1).await, Ok(()));
        assert_eq!(nested_result(&world, 1).await, Ok(Err("inner".into())));
        assert_eq!(nested_result(&world, 2).await, Ok(Ok(2)));
        assert_eq!(option_of_result(&world, 1).await, Some(Err("stored".into())));
        assert_eq!(option_of_option(&world, 1).await, Some(None));
        assert_eq!(infallible(&world, 1).await, Ok(6));
        assert_eq!(std_result(&world, 1).await.unwrap(), 1);
    }
    assert_eq!(world.loads(), 7);
    for _ in 0..2 {
        assert_eq!(unit_result(&world, 0).await, Err("zero".into()));
        assert_eq!(nested_result(&world, 0).await, Err("outer".into()));
        assert_eq!(std_result(&world, 0).await.unwrap_err().to_string(), "zero");
    }
    assert_eq!(world.loads(), 13);
    assert_eq!(option_of_option_entry(&world, 1).get().await, Some(Some(None)));
}

trait Shape: Send + Sync {
    fn sides(&self) -> u64;
}

struct Polygon(u64);

impl Shape for Polygon {
    fn sides(&self) -> u64 {
        self.0
    }
}

#[hybrid_cached(ttl = 60s, key = "{sides}", tier = memory, cache = world.cache)]
async fn object(world: &World, sides: u64) -> anyhow::Result<Arc<dyn Shape>> {
    world.load(sides).await;
    if sides < 3 {
        return Err(NoCache(Arc::new(Polygon(sides))));
    }
    Ok(Arc::new(Polygon(sides)))
}

#[hybrid_cached(ttl = 60s, key = "{sides}", tier = memory, cache = world.cache)]
async fn plain_object(world: &World, sides: u64) -> Arc<dyn Shape> {
    world.load(sides).await;
    if sides < 3 {
        no_cache();
    }
    Arc::new(Polygon(sides))
}

#[tokio::test(start_paused = true)]
async fn values_are_coerced_as_in_any_function() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(object(&world, 2).await.unwrap().sides(), 2);
        assert_eq!(object(&world, 4).await.unwrap().sides(), 4);
        assert_eq!(plain_object(&world, 2).await.sides(), 2);
        assert_eq!(plain_object(&world, 4).await.sides(), 4);
    }
    assert_eq!(world.loads(), 6);
}

#[hybrid_cached(ttl = 60s, key = "{id}", tier = memory, cache = world.cache)]
async fn callback(world: &World, id: u64) -> Result<fn(u64) -> u64, String> {
    world.load(id).await;
    Ok(|number| number + 1)
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn diverging(world: &World, id: u64) -> Result<u64, String> {
    world.load(id).await;
    Err("always".into())
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn inferred(world: &World, id: u64) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
    world.load(id).await;
    match id {
        0 => Err("zero")?,
        1 => Err("one".into()),
        2 => Err(NoCache(Vec::new())),
        _ => Ok(["a", "b"].into_iter().map(Into::into).collect()),
    }
}

#[tokio::test(start_paused = true)]
async fn types_are_inferred_as_in_any_function() {
    let world = World::new().await;
    assert_eq!(callback(&world, 7).await.unwrap()(1), 2);
    assert_eq!(at_once(callback(&world, 7)).unwrap()(1), 2);
    assert_eq!(diverging(&world, 7).await, Err("always".into()));
    assert_eq!(inferred(&world, 0).await.unwrap_err().to_string(), "zero");
    assert_eq!(inferred(&world, 1).await.unwrap_err().to_string(), "one");
    assert!(inferred(&world, 2).await.unwrap().is_empty());
    assert_eq!(inferred(&world, 3).await.unwrap(), ["a", "b"]);
}
