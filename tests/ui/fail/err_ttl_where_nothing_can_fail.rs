use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h, err_ttl = 1s)]
async fn user(id: u64) -> Option<u64> {
    Some(id)
}

fn main() {}
