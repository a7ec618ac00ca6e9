//! `multi-tier-cache`: keys are strings, which a user formats; memory holds encoded values, which each hit decodes.

use std::sync::Arc;

use multi_tier_cache::serialization::MsgPackSerializer;
use multi_tier_cache::{
    CacheManager, CacheSerializer, CacheStrategy, CacheTier, L2CacheBackend, QuickCacheBackend, RedisCache,
};

use crate::values::{Item, User, item as load_item, slow_item, slow_user, user as load_user};

/// One hour.
const LIFETIME: CacheStrategy = CacheStrategy::MediumTerm;

pub(crate) fn in_memory(entries: usize) -> CacheManager {
    with_tiers(vec![memory(entries)])
}

pub(crate) async fn user(cache: &CacheManager, id: u64) -> User {
    let load = || async move { Ok(load_user(id)) };
    cache.get_or_compute_typed(&format!("user:{id}"), LIFETIME, load).await.unwrap()
}

pub(crate) async fn loaded_slowly(cache: &CacheManager, id: u64) -> User {
    let load = || async move { Ok(slow_user(id).await) };
    cache.get_or_compute_typed(&format!("user:{id}"), LIFETIME, load).await.unwrap()
}

pub(crate) async fn shared(url: &str) -> CacheManager {
    let redis = RedisCache::with_url(url).await.unwrap();
    with_tiers(vec![memory(super::ENTRIES), tier(Arc::new(redis), 2)])
}

pub(crate) async fn item(cache: &CacheManager, id: u64) -> Item {
    let load = || async move { Ok(load_item(id)) };
    cache.get_or_compute_typed(&format!("item:{id}"), LIFETIME, load).await.unwrap()
}

pub(crate) async fn item_loaded_slowly(cache: &CacheManager, id: u64) -> Item {
    let load = || async move { Ok(slow_item(id).await) };
    cache.get_or_compute_typed(&format!("slow:{id}"), LIFETIME, load).await.unwrap()
}

/// The fastest of its memories, by its documentation.
fn memory(entries: usize) -> CacheTier {
    tier(Arc::new(QuickCacheBackend::new(entries as u64).unwrap()), 1)
}

fn tier(backend: Arc<dyn L2CacheBackend>, level: usize) -> CacheTier {
    const PROMOTE_ONE_IN: usize = 1;
    CacheTier::new(backend, level, level > 1, PROMOTE_ONE_IN, 1.0)
}

fn with_tiers(tiers: Vec<CacheTier>) -> CacheManager {
    let mut manager = CacheManager::new_with_tiers(tiers, None).unwrap();
    manager.set_serializer(CacheSerializer::MsgPack(MsgPackSerializer));
    manager
}
