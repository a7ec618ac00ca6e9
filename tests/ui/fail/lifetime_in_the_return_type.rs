use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h)]
async fn user<'a>(name: &'a str) -> &'a str {
    name
}

fn main() {}
