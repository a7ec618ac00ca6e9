//! Every option, in each way it can be written.
#![deny(warnings)]

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use hybridcache::{HybridCache, Memory, hybrid_cached};

static LOADS: AtomicU32 = AtomicU32::new(0);

fn loads() -> u32 {
    LOADS.swap(0, Relaxed)
}

fn load(id: u64) -> u64 {
    LOADS.fetch_add(1, Relaxed);
    id
}

const TTL: Duration = Duration::from_secs(60);

/// Somebody else's crate that passes the attribute on.
mod reexported {
    pub use hybridcache::*;
}

#[hybrid_cached(fresh_for = 1.5s, ttl = 1h30m, timeout = 250ms)]
async fn literals(id: u64) -> Result<u64, hybridcache::LoadError> {
    Ok(load(id))
}

#[hybrid_cached(ttl = TTL, fresh_for = Duration::from_secs(5), timeout = TTL)]
async fn constants(id: u64) -> Result<u64, hybridcache::LoadError> {
    Ok(load(id))
}

#[hybrid_cached(ttl = 2 * TTL, fresh_for = 5m, timeout = id_timeout(id))]
async fn computed(id: u64, skipped: u64) -> Result<u64, hybridcache::LoadError> {
    Ok(load(id + skipped))
}

fn id_timeout(id: u64) -> Duration {
    Duration::from_secs(id + 5)
}

#[hybrid_cached(
    ttl = 1h,
    name = "named",
    version = 3,
    tags = ["id:{id}", "all"],
    tier = memory,
    weigh = |id: &u64| *id as usize,
    entry = true,
)]
async fn named(id: u64) -> u64 {
    load(id)
}

/// Shares the entries of `named`, since it says the same name.
#[hybrid_cached(ttl = 1h, name = "named", version = 3, tier = memory, entry = false)]
async fn same_name(id: u64) -> u64 {
    load(id)
}

#[reexported::hybrid_cached(ttl = 1h, crate = crate::pass::options::reexported)]
async fn through_a_reexport(id: u64) -> u64 {
    load(id)
}

static SMALL: LazyLock<HybridCache> = LazyLock::new(|| small_cache(2));

fn small_cache(entries: usize) -> HybridCache {
    static BUILT: std::sync::Mutex<Vec<HybridCache>> = std::sync::Mutex::new(Vec::new());
    let mut built = BUILT.lock().expect("no panic");
    while built.len() < entries {
        let cache = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(HybridCache::builder().memory(Memory::entries(10)).build()).expect("a cache")
        });
        built.push(cache.join().expect("no panic"));
    }
    built[entries - 1].clone()
}

#[hybrid_cached(ttl = 1h, cache = SMALL)]
async fn in_a_static(id: u64) -> u64 {
    load(id)
}

#[hybrid_cached(ttl = 1h, cache = cache, skip(cache))]
async fn in_an_argument(cache: &HybridCache, id: u64) -> u64 {
    load(id)
}

#[derive(Clone)]
struct Service {
    cache: HybridCache,
}

impl Service {
    #[hybrid_cached(ttl = 1h, cache = self.cache, skip(self))]
    async fn in_a_field(&self, id: u64) -> u64 {
        load(id)
    }
}

#[tokio::test]
async fn runs() {
    assert_eq!((literals(7).await.ok(), literals(7).await.ok()), (Some(7), Some(7)));
    assert_eq!((constants(7).await.ok(), constants(7).await.ok()), (Some(7), Some(7)));
    assert_eq!((computed(7, 1).await.ok(), computed(7, 1).await.ok()), (Some(8), Some(8)));
    assert_eq!(computed_entry(7, 1).get().await, Some(8));
    assert_eq!(loads(), 3);

    assert_eq!((named(7).await, same_name(7).await), (7, 7));
    assert_eq!(loads(), 1);
    assert_eq!(named_entry(7).get().await, Some(7));
    hybridcache::invalidate_tag("id:7").await.expect("memory only");
    assert_eq!(same_name(7).await, 7);
    assert_eq!(loads(), 1);

    assert_eq!((through_a_reexport(7).await, through_a_reexport(7).await), (7, 7));
    assert_eq!(through_a_reexport_entry(7).get().await, Some(7));
    assert_eq!(loads(), 1);

    let (one, other) = (small_cache(1), small_cache(2));
    assert_eq!((in_a_static(7).await, in_a_static(7).await), (7, 7));
    assert_eq!((in_an_argument(&one, 7).await, in_an_argument(&one, 7).await), (7, 7));
    assert_eq!(loads(), 2);
    assert_eq!(in_an_argument_entry(&other, 7).get().await, None);
    assert_eq!(in_an_argument_entry(&one, 7).get().await, Some(7));
    let (one, other) = (Service { cache: one }, Service { cache: other });
    assert_eq!((one.in_a_field(7).await, other.in_a_field(7).await, one.in_a_field(7).await), (7, 7, 7));
    assert_eq!(loads(), 2, "one for each cache");
    assert_eq!(one.in_a_field_entry(7).get().await, Some(7));
}
