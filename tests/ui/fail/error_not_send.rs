use std::rc::Rc;

use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h)]
async fn user(id: u64) -> Result<u64, Rc<str>> {
    Ok(id)
}

fn main() {}
