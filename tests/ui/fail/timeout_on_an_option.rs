use hybridcache::hybrid_cached;

#[hybrid_cached(timeout = 20s, ttl = 1h)]
async fn user(id: u64) -> Option<u64> {
    Some(id)
}

fn main() {}
