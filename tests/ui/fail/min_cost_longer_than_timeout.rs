use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h, timeout = 1s, min_cost = 2s)]
async fn user(id: u64) -> Result<u64, hybridcache::LoadError> {
    Ok(id)
}

fn main() {}
