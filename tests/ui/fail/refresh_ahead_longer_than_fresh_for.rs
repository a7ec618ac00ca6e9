use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h, fresh_for = 1m, refresh_ahead = 2m)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {}
