//! `hitbox` with its attribute: memory holds encoded values, which each hit decodes.

use hitbox::concurrency::BroadcastConcurrencyManager;
use hitbox::policy::{ConcurrencyLimit, PolicyConfig};
use hitbox_backend::format::BincodeFormat;
use hitbox_fn::{Cache, cached};
use hitbox_moka::MokaBackend;
use hitbox_redis::{ConnectionMode, RedisBackend};

use super::TTL;
use crate::values::{Item, User, item as load_item, slow_item, slow_user, user as load_user};

pub(crate) type OneLoad<B, T> = Cache<B, BroadcastConcurrencyManager<T>>;

#[cached]
pub(crate) async fn user(id: u64) -> User {
    load_user(id)
}

#[cached]
pub(crate) async fn loaded_slowly(id: u64) -> User {
    slow_user(id).await
}

#[cached]
pub(crate) async fn item_loaded_slowly(id: u64) -> Item {
    slow_item(id).await
}

#[cached]
pub(crate) async fn item(id: u64) -> Item {
    load_item(id)
}

pub(crate) fn in_memory(entries: usize) -> Cache<MokaBackend<BincodeFormat>> {
    Cache::builder().backend(memory(entries)).policy(PolicyConfig::builder().ttl(TTL).build()).build()
}

/// Without this manager each caller loads.
pub(crate) fn with_one_load(entries: usize) -> OneLoad<MokaBackend<BincodeFormat>, User> {
    let manager = BroadcastConcurrencyManager::new();
    Cache::builder().backend(memory(entries)).policy(one_load()).concurrency_manager(manager).build()
}

/// Redis alone: each call asks it.
pub(crate) fn shared(url: &str) -> Cache<RedisBackend> {
    Cache::builder().backend(redis(url)).policy(PolicyConfig::builder().ttl(TTL).build()).build()
}

pub(crate) fn shared_with_one_load(url: &str) -> OneLoad<RedisBackend, Item> {
    let manager = BroadcastConcurrencyManager::new();
    Cache::builder().backend(redis(url)).policy(one_load()).concurrency_manager(manager).build()
}

fn one_load() -> PolicyConfig {
    PolicyConfig::builder().ttl(TTL).concurrency(ConcurrencyLimit::new(1).unwrap()).build()
}

fn redis(url: &str) -> RedisBackend {
    RedisBackend::builder().connection(ConnectionMode::single(url)).build().unwrap()
}

fn memory(entries: usize) -> MokaBackend<BincodeFormat> {
    MokaBackend::builder().max_entries(entries as u64).value_format(BincodeFormat).build()
}
