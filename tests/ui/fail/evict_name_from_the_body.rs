use hybridcache::{hybrid_cached, hybrid_evict};

#[hybrid_cached(ttl = 1h)]
async fn user(id: u64) -> u64 {
    id
}

#[hybrid_evict(user(new_id))]
async fn rename(id: u64) -> u64 {
    let new_id = id + 1;
    new_id
}

fn main() {
    drop(rename);
}
