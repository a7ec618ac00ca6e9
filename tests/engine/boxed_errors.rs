//! `Box<dyn Error + Send + Sync>` as the error of a cached function whose calls are spawned.

use std::error::Error;

use hybridcache::{LoadError, hybrid_cached};

use crate::errors::Original;
use crate::world::{World, settle};

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn boxed(world: &World, id: u64) -> Result<u64, Box<dyn Error + Send + Sync>> {
    world.load(id).await;
    Err(Original(id).into())
}

#[tokio::test(start_paused = true)]
async fn a_boxed_error_is_shared() {
    let world = World::new().await;
    world.hold();
    let callers: Vec<_> = (0..10).map(|_| world.call(|world| async move { boxed(&world, 7).await })).collect();
    world.until_loads(1).await;
    settle().await;
    world.let_all_go();
    for caller in callers {
        let error = caller.await.unwrap().unwrap_err();
        assert!(error.is::<LoadError>(), "{error:?}");
        assert_eq!(error.to_string(), "load 7 failed");
    }
    assert_eq!(world.loads(), 1);
    let alone = boxed(&world, 7).await.unwrap_err();
    assert_eq!(alone.downcast_ref(), Some(&Original(7)));
}
