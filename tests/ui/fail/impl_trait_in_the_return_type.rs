use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h)]
async fn users(count: u64) -> impl Iterator<Item = u64> {
    0..count
}

fn main() {}
