use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h)]
async fn user(id: u64) -> u64 {
    id.to_string()
}

fn main() {}
