use std::time::Duration;

use hybridcache::hybrid_cached;

const FRESH_FOR: Duration = Duration::from_secs(60);

#[hybrid_cached(ttl = 1h, fresh_for = FRESH_FOR, refresh_ahead = 2m)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {}
