use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h)]
async fn user(name: Option<&str>) -> usize {
    name.map_or(0, str::len)
}

fn main() {
    let _ = user_entry(None);
}
