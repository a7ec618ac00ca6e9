use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h, compress = false, tier = memory)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {}
