//! `hybridcache`.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use hybridcache::{HybridCache, Memory, hybrid_cached};
use tokio::sync::Notify;

use super::{ENTRIES, MANY_ENTRIES};
use crate::values::{Item, User, item as load_item, shared_user, slow_item, slow_user};

static INSTALLED: OnceLock<HybridCache> = OnceLock::new();
static MANY: OnceLock<HybridCache> = OnceLock::new();

/// While it is set, loads do not end.
static ARE_LOADS_HELD: AtomicBool = AtomicBool::new(false);
static RELEASED: Notify = Notify::const_new();

/// In the installed cache, as most functions.
#[hybrid_cached(ttl = 1h, key = "user:{id}")]
pub(crate) async fn user(id: u64) -> Arc<User> {
    shared_user(id)
}

#[hybrid_cached(ttl = 1h, key = "user:{id}", cache = many())]
pub(crate) async fn one_of_many(id: u64) -> Arc<User> {
    shared_user(id)
}

#[hybrid_cached(fresh_for = 30m, ttl = 1h, key = "user:{id}")]
pub(crate) async fn refreshed(id: u64) -> Arc<User> {
    if ARE_LOADS_HELD.load(Ordering::Acquire) {
        RELEASED.notified().await;
    }
    shared_user(id)
}

#[hybrid_cached(ttl = 1h, key = "user:{id}")]
pub(crate) async fn loaded_slowly(id: u64) -> Arc<User> {
    Arc::new(slow_user(id).await)
}

#[hybrid_cached(ttl = 1h, key = "item:{id}", cache = cache)]
pub(crate) async fn item(cache: &HybridCache, id: u64) -> Item {
    load_item(id)
}

#[hybrid_cached(ttl = 1h, key = "item:{id}", cache = cache)]
pub(crate) async fn missed_item(cache: &HybridCache, id: u64) -> Item {
    load_item(id)
}

#[hybrid_cached(ttl = 1h, key = "item:{id}", cache = cache)]
pub(crate) async fn item_loaded_slowly(cache: &HybridCache, id: u64) -> Item {
    slow_item(id).await
}

/// Before any function above is called, and once.
pub(crate) async fn install() {
    let memory_only = |entries| HybridCache::builder().memory(Memory::entries(entries)).build();
    let installed = memory_only(ENTRIES as u64).await.unwrap();
    INSTALLED.get_or_init(|| installed).install().unwrap();
    assert!(MANY.set(memory_only(MANY_ENTRIES as u64).await.unwrap()).is_ok());
}

fn many() -> &'static HybridCache {
    MANY.get().unwrap()
}

pub(crate) fn stale_hits() -> u64 {
    INSTALLED.get().unwrap().stats().stale_hits
}

/// A process's cache with a Redis that others use too.
pub(crate) async fn shared(url: &str) -> HybridCache {
    HybridCache::builder().namespace("comparison").redis(url).build().await.unwrap()
}

/// Marks them stale, and lets each be refreshed without an end.
pub(crate) async fn make_stale(ids: Range<u64>) {
    ARE_LOADS_HELD.store(true, Ordering::Release);
    for id in ids {
        refreshed_entry(id).expire().await.unwrap();
        refreshed(id).await;
    }
}
