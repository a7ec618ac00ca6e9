use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h, skip(dv))]
async fn user(db: u64, id: u64) -> u64 {
    db + id
}

fn main() {}
