use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h)]
async fn user(name: &str) -> Option<&str> {
    Some(name)
}

fn main() {}
