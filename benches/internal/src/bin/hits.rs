//! Calls a cached function as often as it is told, all but the first hundred of them hits: for `benches/instructions`, which counts
//! what one costs.
//!
//! `hits ours 20000`, or `hits moka 20000` for as many reads of a plain `moka::sync::Cache`. `hits insertions 20000` loads as many
//! keys into a full memory, where each evicts one.

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use hybridcache::{HybridCache, Memory, hybrid_cached};
use tokio::runtime;

const KEYS: u64 = 100;

/// Of a memory that is full.
const ENTRIES: u64 = 1_000;

static CACHE: OnceLock<HybridCache> = OnceLock::new();

fn cache() -> &'static HybridCache {
    CACHE.get().expect("it is built first")
}

#[hybrid_cached(tier = memory, fresh_for = 1m, ttl = 1h, key = "user:{id}", cache = cache())]
async fn user(id: u64) -> Arc<u64> {
    Arc::new(id)
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["ours", hits] if let Ok(hits) = hits.parse() => ours(hits),
        ["insertions", loads] if let Ok(loads) = loads.parse() => insertions(loads),
        ["moka", hits] if let Ok(hits) = hits.parse() => moka(hits),
        _ => {
            eprintln!("say `ours`, `moka` or `insertions`, and how many");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn ours(hits: u64) {
    let runtime = runtime::Builder::new_current_thread().enable_time().build().expect("a runtime can be built");
    runtime.block_on(async {
        let cache =
            HybridCache::builder().memory(Memory::entries(2 * KEYS)).build().await.expect("the settings are right");
        CACHE.set(cache).expect("it is set once");
        for id in 0..KEYS {
            user(id).await;
        }
        for nth in 0..hits {
            black_box(user(black_box(nth % KEYS)).await);
        }
    });
}

fn insertions(loads: u64) {
    let runtime = runtime::Builder::new_current_thread().enable_time().build().expect("a runtime can be built");
    runtime.block_on(async {
        let memory = Memory::entries(ENTRIES);
        CACHE.set(HybridCache::builder().memory(memory).build().await.expect("the settings are right")).expect("once");
        for id in 0..2 * ENTRIES + loads {
            black_box(user(black_box(id)).await);
        }
    });
}

fn moka(hits: u64) {
    let cache = moka::sync::Cache::new(2 * KEYS);
    for id in 0..KEYS {
        cache.insert(id, Arc::new(id));
    }
    for nth in 0..hits {
        black_box(cache.get(&black_box(nth % KEYS)));
    }
}
