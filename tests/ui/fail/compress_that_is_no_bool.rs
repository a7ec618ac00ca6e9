use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h, compress = lz4)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {}
