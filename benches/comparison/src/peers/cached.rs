//! `cached`: its sharded store with a bound and a lifetime, its Redis store, and, for loads that are shared, the attribute
//! that has `sync_writes`.

use std::sync::{Arc, OnceLock};

use cached::AsyncRedisCache;
use cached::macros::{cached, concurrent_cached};
use cached::time::Duration;

use crate::values::{Item, User, item as load_item, shared_user, slow_user};

static REDIS: OnceLock<String> = OnceLock::new();

#[derive(Clone, Debug)]
pub(crate) struct StoreError;

#[concurrent_cached(max_size = 100_000, ttl_secs = 3600)]
pub(crate) async fn user(id: u64) -> Arc<User> {
    shared_user(id)
}

#[concurrent_cached(max_size = 1_200_000, ttl_secs = 3600)]
pub(crate) async fn one_of_many(id: u64) -> Arc<User> {
    shared_user(id)
}

/// `concurrent_cached` does not share loads. As many locks as there are keys in a round, or more.
#[cached(max_size = 100_000, ttl_secs = 3600, sync_writes = "by_key", sync_writes_buckets = 4096)]
pub(crate) async fn loaded_slowly(id: u64) -> Arc<User> {
    Arc::new(slow_user(id).await)
}

#[concurrent_cached(
    ty = "AsyncRedisCache<u64, Item>",
    create = r#"{ connect().await }"#,
    map_error = |_| StoreError
)]
pub(crate) async fn item(id: u64) -> Result<Item, StoreError> {
    Ok(load_item(id))
}

pub(crate) fn use_redis(url: &str) {
    REDIS.get_or_init(|| url.to_owned());
}

async fn connect() -> AsyncRedisCache<u64, Item> {
    let url = REDIS.get().unwrap();
    let builder = AsyncRedisCache::builder("cached").ttl(Duration::from_secs(3600)).connection_string(url);
    builder.build().await.unwrap()
}
