use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h)]
async fn user(id: u64) -> Option<&'static str> {
    if id > 5 { Some("Ada") } else { None }
}

fn main() {}
