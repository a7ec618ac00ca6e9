use hybridcache::CacheKey;

#[derive(CacheKey)]
enum Place {
    Named(String),
    At { latitude: f64 },
}

fn main() {}
