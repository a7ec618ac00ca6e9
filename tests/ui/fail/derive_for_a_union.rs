use hybridcache::CacheKey;

#[derive(CacheKey)]
union Bits {
    a: u32,
    b: u32,
}

fn main() {}
