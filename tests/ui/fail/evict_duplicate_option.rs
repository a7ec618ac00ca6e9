use hybridcache::{hybrid_cached, hybrid_evict};

#[hybrid_cached(ttl = 1h)]
async fn user(id: u64) -> u64 {
    id
}

#[hybrid_evict(user(id), when = ok, when = always)]
async fn rename(id: u64) {
    println!("{id}");
}

fn main() {
    drop(rename);
}
