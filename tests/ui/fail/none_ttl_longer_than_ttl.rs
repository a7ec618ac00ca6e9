use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h, none_ttl = 2h)]
async fn user(id: u64) -> Option<u64> {
    Some(id)
}

fn main() {}
