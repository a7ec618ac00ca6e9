use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h, max_value = 65536)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {}
