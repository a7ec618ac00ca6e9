use hybridcache::CacheKey;

#[derive(CacheKey)]
#[cache_key(crat = hybridcache)]
struct Position {
    name: String,
}

fn main() {}
