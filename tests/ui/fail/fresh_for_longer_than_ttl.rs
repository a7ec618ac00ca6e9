use hybridcache::hybrid_cached;

#[hybrid_cached(fresh_for = 2h, ttl = 1h30m)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {}
