use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h, max_value = id)]
async fn user(id: String) -> String {
    id
}

fn main() {}
