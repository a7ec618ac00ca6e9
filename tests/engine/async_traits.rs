//! Methods under `#[async_trait]`.

use std::sync::Arc;

use async_trait::async_trait;
use hybridcache::{NoCache, hybrid_cached};

use crate::world::{World, at_once};

#[async_trait]
trait Store: Send + Sync {
    async fn plain(&self, id: u64) -> u64;
    async fn fallible(&self, id: u64) -> anyhow::Result<String>;
    async fn with_borrowed(&self, name: &str, parts: &[u64]) -> Option<String>;
    async fn by_arc(self: Arc<Self>, id: u64) -> u64;
    async fn associated(world: &World, id: u64) -> u64
    where
        Self: Sized;
}

#[derive(Clone)]
struct Memory {
    world: World,
    tenant: u64,
}

#[async_trait]
impl Store for Memory {
    #[hybrid_cached(ttl = 60s, key = "{self.tenant}:{id}", entry = false, cache = self.world.cache)]
    async fn plain(&self, id: u64) -> u64 {
        self.world.load(id).await;
        self.tenant * 100 + id
    }

    #[hybrid_cached(ttl = 60s, timeout = 5s, key = "{self.tenant}:{id}", entry = false, cache = self.world.cache)]
    async fn fallible(&self, id: u64) -> anyhow::Result<String> {
        let number = self.world.load(id).await;
        match id {
            0 => Err(NoCache(format!("draft {number}"))),
            1 => Err(anyhow::anyhow!("none")),
            _ => Ok("x7".trim_start_matches('x').parse::<u64>()?.to_string()),
        }
    }

    #[hybrid_cached(ttl = 60s, key = (self.tenant, name, parts), entry = false, cache = self.world.cache)]
    async fn with_borrowed(&self, name: &str, parts: &[u64]) -> Option<String> {
        self.world.load(name).await;
        Some(format!("{name}{parts:?}"))
    }

    #[hybrid_cached(ttl = 60s, key = (self.tenant, id), entry = false, cache = self.world.cache)]
    async fn by_arc(self: Arc<Self>, id: u64) -> u64 {
        self.world.load(id).await
    }

    #[hybrid_cached(ttl = 60s, key = "{id}", entry = false, cache = world.cache)]
    async fn associated(world: &World, id: u64) -> u64 {
        world.load(id).await
    }
}

#[tokio::test(start_paused = true)]
async fn methods_are_cached() {
    let world = World::new().await;
    let first: Arc<dyn Store> = Arc::new(Memory { world: world.clone(), tenant: 1 });
    let second: Arc<dyn Store> = Arc::new(Memory { world: world.clone(), tenant: 2 });
    for _ in 0..2 {
        assert_eq!(first.plain(7).await, 107);
        assert_eq!(second.plain(7).await, 207);
        assert_eq!(first.with_borrowed("a", &[1, 2]).await.as_deref(), Some("a[1, 2]"));
        assert_eq!(first.with_borrowed("a", &[12]).await.as_deref(), Some("a[12]"));
        assert_eq!(first.clone().by_arc(7).await, 5);
        assert_eq!(Memory::associated(&world, 7).await, 6);
    }
    assert_eq!(world.loads(), 6);
    assert_eq!(at_once(first.plain(7)), 107);
}

#[tokio::test(start_paused = true)]
async fn results_keep_their_errors_and_what_is_not_stored() {
    let world = World::new().await;
    let store = Memory { world: world.clone(), tenant: 1 };
    assert_eq!(store.fallible(0).await.unwrap(), "draft 1");
    assert_eq!(store.fallible(0).await.unwrap(), "draft 2");
    assert_eq!(store.fallible(1).await.unwrap_err().to_string(), "none");
    assert_eq!(store.fallible(1).await.unwrap_err().to_string(), "none");
    assert_eq!(store.fallible(2).await.unwrap(), "7");
    assert_eq!(store.fallible(2).await.unwrap(), "7");
    assert_eq!(world.loads(), 5);
}

#[tokio::test(start_paused = true)]
async fn callers_share_one_load() {
    let world = World::new().await;
    let store: Arc<dyn Store> = Arc::new(Memory { world: world.clone(), tenant: 1 });
    world.hold();
    let callers: Vec<_> = (0..10)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.plain(7).await })
        })
        .collect();
    world.until_loads(1).await;
    world.let_all_go();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 107);
    }
    assert_eq!(world.loads(), 1);
}
