use std::time::Duration;

use hybridcache::hybrid_cached;

const TTL: Duration = Duration::from_secs(60);

#[hybrid_cached(ttl = TTL, fresh_for = Duration::from_secs(61))]
async fn user(id: u64) -> u64 {
    id
}

fn main() {
    let _ = user_entry(7);
}
