use hybridcache::{CacheKey, hybrid_cached};

#[hybrid_cached(ttl = 1h)]
async fn user<T: CacheKey + Send>(id: T) -> u64 {
    let _ = id;
    7
}

fn main() {}
