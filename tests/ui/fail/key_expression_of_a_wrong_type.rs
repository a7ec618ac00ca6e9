use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h, key = id.to_sting())]
async fn user(id: u64) -> u64 {
    id
}

fn main() {}
