use hybridcache::CacheKey;

struct Position;

#[derive(CacheKey)]
struct Place {
    name: String,
    position: Position,
}

fn main() {}
