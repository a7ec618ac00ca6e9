use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h, none_ttl = 30s)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {}
