use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h, soft_timeout = 50ms)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {}
