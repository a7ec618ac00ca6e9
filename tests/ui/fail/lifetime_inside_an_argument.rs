use std::borrow::Cow;

use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h)]
async fn user(name: Cow<'_, str>) -> usize {
    name.len()
}

fn main() {}
