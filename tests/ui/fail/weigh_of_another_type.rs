use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h, weigh = |name: &String| name.len())]
async fn user(id: u64) -> u64 {
    id
}

fn main() {}
