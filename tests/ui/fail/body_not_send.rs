use std::rc::Rc;

use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h)]
async fn user(id: u64) -> u64 {
    let local = Rc::new(id);
    std::future::ready(()).await;
    *local
}

fn main() {}
