use std::time::Duration;

use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = Duration::from_secs(0))]
async fn user(id: u64) -> u64 {
    id
}

fn main() {
    let _ = user_entry(7);
}
