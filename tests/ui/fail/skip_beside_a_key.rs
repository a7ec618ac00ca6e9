use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h, key = "{id}", skip(db))]
async fn user(db: u64, id: u64) -> u64 {
    db + id
}

fn main() {
    let _ = user_entry(7);
}
