//! `amalgam-cache`: keys are strings, which a user formats.

use std::convert::Infallible;
use std::sync::Arc;

use amalgam::provider::{MessagePackSerializer, RedisDistributedCache};
use amalgam::{Cache, EntryOptions};

use super::TTL;
use crate::values::{Item, User, item as load_item, shared_user, slow_item, slow_user};

pub(crate) fn in_memory(entries: usize) -> Cache<Arc<User>> {
    let builder = Cache::builder().max_capacity(entries as u64).default_options(EntryOptions::new(TTL));
    builder.try_build().unwrap()
}

pub(crate) async fn user(cache: &Cache<Arc<User>>, id: u64) -> Arc<User> {
    let load = move |_| async move { Ok::<_, Infallible>(shared_user(id)) };
    cache.get_or_set(format!("user:{id}"), load).await.unwrap()
}

pub(crate) async fn loaded_slowly(cache: &Cache<Arc<User>>, id: u64) -> Arc<User> {
    let load = move |_| async move { Ok::<_, Infallible>(Arc::new(slow_user(id).await)) };
    cache.get_or_set(format!("user:{id}"), load).await.unwrap()
}

/// Without a backplane and a distributed lock, which would make it slower: its processes share values, not loads.
pub(crate) async fn shared(url: &str) -> Cache<Item> {
    let redis = RedisDistributedCache::connect(url).await.unwrap();
    let builder = Cache::builder().max_capacity(super::ENTRIES as u64).default_options(EntryOptions::new(TTL));
    builder.distributed(Arc::new(redis)).serializer(Arc::new(MessagePackSerializer)).try_build().unwrap()
}

pub(crate) async fn item(cache: &Cache<Item>, id: u64) -> Item {
    let load = move |_| async move { Ok::<_, Infallible>(load_item(id)) };
    cache.get_or_set(format!("item:{id}"), load).await.unwrap()
}

pub(crate) async fn item_loaded_slowly(cache: &Cache<Item>, id: u64) -> Item {
    let load = move |_| async move { Ok::<_, Infallible>(slow_item(id).await) };
    cache.get_or_set(format!("slow:{id}"), load).await.unwrap()
}
