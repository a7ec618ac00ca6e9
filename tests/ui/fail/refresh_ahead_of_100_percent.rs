use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h, refresh_ahead = 100%)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {}
