use std::time::Duration;

use hybridcache::hybrid_cached;

const JITTER: Duration = Duration::from_secs(60);

#[hybrid_cached(ttl = 1m, jitter = JITTER)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {}
