use hybridcache::hybrid_cached;

#[hybrid_cached(ttl_secs = 60, max_size = 100, sync_writes = "by_key")]
async fn user(id: u64) -> u64 {
    id
}

fn main() {}
