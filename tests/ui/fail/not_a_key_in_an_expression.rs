use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h, key = (id, weight * 2.0))]
async fn user(id: u64, weight: f32) -> u64 {
    id + weight as u64
}

fn main() {}
