//! The handle takes what the key is made of.
use hybridcache::{hybrid_cached, hybrid_evict};

#[derive(Clone)]
struct Db;

#[hybrid_cached(ttl = 1h, key = "user:{id}")]
async fn user(db: &Db, id: u64) -> u64 {
    drop(db.clone());
    id
}

#[hybrid_evict(user(db, id))]
async fn rename(db: &Db, id: u64) {
    user(db, id).await;
}

fn main() {
    drop(rename(&Db, 7));
}
