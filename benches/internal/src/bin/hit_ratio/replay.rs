//! A trace, asked of plain moka and of a cached function. The first half of the requests warms up, the second counts.

use std::hint::black_box;

use hybridcache::{HybridCache, Memory, Policy, hybrid_cached};
use moka::sync::Cache;
use tokio::runtime;

/// Percent of hits with `moka::sync::Cache` alone: get, and insert what was missing.
pub fn plain(requests: &[u64], capacity: u64) -> f64 {
    let cache = Cache::new(capacity);
    let (warm_up, counted) = requests.split_at(requests.len() / 2);
    let ask = |key: &u64| match cache.get(key) {
        Some(value) => {
            black_box::<u64>(value);
            true
        }
        None => {
            cache.insert(*key, *key);
            false
        }
    };
    warm_up.iter().for_each(|key| {
        ask(key);
    });
    let hits = counted.iter().filter(|key| ask(key)).count();
    100.0 * hits as f64 / counted.len() as f64
}

#[hybrid_cached(tier = memory, ttl = 1h, key = "{id}", cache = cache)]
async fn cached(cache: &HybridCache, id: u64) -> u64 {
    id
}

/// Percent of hits with a cached function, called and awaited for each request.
pub fn product(requests: &[u64], capacity: u64, policy: Policy) -> f64 {
    let runtime = runtime::Builder::new_current_thread().enable_time().build().expect("a runtime can be built");
    runtime.block_on(async {
        let memory = Memory::entries(capacity).policy(policy);
        let cache = HybridCache::builder().memory(memory).build().await.expect("the settings are right");
        let (warm_up, counted) = requests.split_at(requests.len() / 2);
        ask(&cache, warm_up).await;
        let before = cache.stats();
        ask(&cache, counted).await;
        let after = cache.stats();
        let (hits, misses) = (after.hits_memory - before.hits_memory, after.misses - before.misses);
        assert_eq!(hits + misses, counted.len() as u64, "each call is a hit or a miss");
        100.0 * hits as f64 / counted.len() as f64
    })
}

async fn ask(cache: &HybridCache, requests: &[u64]) {
    for &id in requests {
        assert_eq!(cached(cache, id).await, id, "a value of another key");
    }
}
