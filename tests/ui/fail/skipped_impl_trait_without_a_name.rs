use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h, skip(source))]
async fn user(source: impl Fn() -> u64 + Send + 'static, id: u64) -> u64 {
    source() + id
}

fn main() {
    let _ = user_entry(7);
}
