use hybridcache::hybrid_cached;

#[derive(Clone)]
struct Filter;

#[hybrid_cached(ttl = 1h)]
async fn users(filter: Filter) -> u64 {
    let _ = filter;
    7
}

fn main() {}
