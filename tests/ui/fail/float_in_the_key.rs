use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h)]
async fn nearest(latitude: f64, longitude: u64) -> u64 {
    latitude as u64 + longitude
}

fn main() {}
