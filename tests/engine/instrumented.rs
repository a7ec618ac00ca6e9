//! `#[instrument]` beside the attribute.

use hybridcache::{NoCache, hybrid_cached};
use tracing::instrument;

use crate::world::World;

#[instrument(skip_all)]
#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn instrumented_call(world: &World, id: u64) -> u64 {
    tracing::info!("loading");
    world.load(id).await
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
#[instrument(skip_all)]
async fn instrumented_load(world: &World, id: u64) -> u64 {
    tracing::info!("loading");
    world.load(id).await
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
#[instrument(skip(world), err, ret)]
async fn instrumented_result(world: &World, id: u64) -> Result<u64, String> {
    world.load(id).await;
    match id {
        0 => Err(NoCache(id)),
        1 => Err("one".to_owned()),
        _ => Ok(id),
    }
}

#[derive(Clone)]
struct Service(World);

impl Service {
    #[hybrid_cached(ttl = 60s, key = "{id}", skip(self), cache = self.0.cache)]
    #[instrument(skip(self), fields(of = self.0.loads()))]
    async fn find(&self, id: u64) -> u64 {
        self.0.load(id).await
    }

    #[instrument(skip(self))]
    #[hybrid_cached(ttl = 60s, key = "{id}", skip(self), cache = self.0.cache)]
    async fn find_too(&self, id: u64) -> u64 {
        self.0.load(id).await
    }
}

#[tokio::test(start_paused = true)]
async fn instrumented_functions_are_cached() {
    let world = World::new().await;
    let service = Service(world.clone());
    for _ in 0..2 {
        assert_eq!(instrumented_call(&world, 7).await, 1);
        assert_eq!(instrumented_load(&world, 7).await, 2);
        assert_eq!(instrumented_result(&world, 7).await, Ok(7));
        assert_eq!(service.find(7).await, 4);
        assert_eq!(service.find_too(7).await, 5);
    }
    assert_eq!(world.loads(), 5);
    assert_eq!(instrumented_result(&world, 1).await, Err("one".into()));
    assert_eq!(instrumented_result(&world, 0).await, Ok(0));
    assert_eq!(instrumented_result(&world, 0).await, Ok(0));
    assert_eq!(world.loads(), 8, "what is not to be stored is not");
}
