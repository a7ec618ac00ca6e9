use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h, key = (id, orgg))]
async fn user(id: u64, org: u64) -> u64 {
    id + org
}

fn main() {}
