use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 80%)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {}
