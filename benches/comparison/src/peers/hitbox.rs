//! `hitbox` with its attribute: memory holds encoded values, which each hit decodes.

use hitbox::concurrency::BroadcastConcurrencyManager;
use hitbox::policy::{ConcurrencyLimit, PolicyConfig};
use hitbox_backend::format::BincodeFormat;
use hitbox_fn::{Cache, cached};
use hitbox_moka::MokaBackend;
use hitbox_redis::{ConnectionMode, RedisBackend};

use super::TTL;
use crate::values::{Item, User, item as load_item, slow_user, user as load_user};

pub(crate) type InMemory = Cache<MokaBackend<BincodeFormat>>;
pub(crate) type OneLoad = Cache<MokaBackend<BincodeFormat>, BroadcastConcurrencyManager<User>>;
pub(crate) type Shared = Cache<RedisBackend>;

#[cached]
pub(crate) async fn user(id: u64) -> User {
    load_user(id)
}

#[cached]
pub(crate) async fn loaded_slowly(id: u64) -> User {
    slow_user(id).await
}

#[cached]
pub(crate) async fn item(id: u64) -> Item {
    load_item(id)
}

pub(crate) fn in_memory(entries: usize) -> InMemory {
    Cache::builder().backend(memory(entries)).policy(PolicyConfig::builder().ttl(TTL).build()).build()
}

/// Without this manager each caller loads.
pub(crate) fn one_load(entries: usize) -> OneLoad {
    let one = ConcurrencyLimit::new(1).unwrap();
    let policy = PolicyConfig::builder().ttl(TTL).concurrency(one).build();
    let manager = BroadcastConcurrencyManager::new();
    Cache::builder().backend(memory(entries)).policy(policy).concurrency_manager(manager).build()
}

/// Redis alone: each call asks it.
pub(crate) fn shared(url: &str) -> Shared {
    let redis = RedisBackend::builder().connection(ConnectionMode::single(url)).build().unwrap();
    Cache::builder().backend(redis).policy(PolicyConfig::builder().ttl(TTL).build()).build()
}

fn memory(entries: usize) -> MokaBackend<BincodeFormat> {
    MokaBackend::builder().max_entries(entries as u64).value_format(BincodeFormat).build()
}
