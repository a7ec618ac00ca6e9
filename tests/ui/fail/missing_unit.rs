use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 5)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {
    let _ = user_entry(7);
}
