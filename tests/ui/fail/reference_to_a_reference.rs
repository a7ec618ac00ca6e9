use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h)]
async fn user(name: &&str) -> usize {
    name.len()
}

fn main() {
    let _ = user_entry(&"Ada");
}
