//! What is called: a load of 5 ms, cached by the attribute, and cached by hand over plain `redis`.

use std::time::{Duration, Instant};

use hybridcache::{HybridCache, hybrid_cached};
use redis::AsyncCommands;
use redis::aio::ConnectionLike;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

const LOAD: Duration = Duration::from_millis(5);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Item {
    id: u64,
    text: String,
    /// How long the load took, by its own clock: on a busy machine a sleep of 5 ms takes longer.
    pub(crate) took: Duration,
}

async fn load(id: u64) -> Item {
    let began = Instant::now();
    sleep(LOAD).await;
    Item { id, text: "some two hundred bytes. ".repeat(8), took: began.elapsed() }
}

#[hybrid_cached(ttl = 1h, key = "{id}", name = "hot", cache = cache)]
pub(crate) async fn hot(cache: &HybridCache, id: u64) -> Item {
    load(id).await
}

/// Stale for most of its life: each hit returns at once, and one in a while starts a refresh.
#[hybrid_cached(fresh_for = 100ms, ttl = 1h, key = "{id}", name = "stale", cache = cache)]
pub(crate) async fn stale(cache: &HybridCache, id: u64) -> Item {
    load(id).await
}

#[hybrid_cached(ttl = 1h, key = "{id}", name = "cold", cache = cache)]
pub(crate) async fn cold(cache: &HybridCache, id: u64) -> Item {
    load(id).await
}

/// The same without this crate: whatever Redis cannot answer is loaded. Returns how long its own load took, where it had
/// to load.
pub(crate) async fn by_hand<C>(mut connection: C, name: &str, id: u64) -> Option<Duration>
where
    C: ConnectionLike + Send + Sync,
{
    const TTL_SECONDS: u64 = 3600;
    let key = format!("{name}:{id}");
    let found: Option<Vec<u8>> = connection.get(&key).await.unwrap_or_default();
    if found.and_then(|bytes| serde_json::from_slice::<Item>(&bytes).ok()).is_some_and(|item| item.id == id) {
        return None;
    }
    let item = load(id).await;
    let bytes = serde_json::to_vec(&item).unwrap();
    // The value is there, stored or not.
    let _: redis::RedisResult<()> = connection.set_ex(&key, bytes, TTL_SECONDS).await;
    Some(item.took)
}
