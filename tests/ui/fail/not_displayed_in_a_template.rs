use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h, key = "user:{id}")]
async fn user(id: Option<u64>) -> u64 {
    id.unwrap_or(7)
}

fn main() {}
