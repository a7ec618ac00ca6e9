use std::rc::Rc;

use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h)]
async fn user(name: Rc<str>) -> usize {
    name.len()
}

fn main() {}
