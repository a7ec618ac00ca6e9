use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h)]
struct User {
    id: u64,
}

fn main() {}
