use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 99999999999d)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {}
