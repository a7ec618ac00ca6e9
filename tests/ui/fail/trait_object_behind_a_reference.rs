use hybridcache::hybrid_cached;

trait Store: Send + Sync {}

#[hybrid_cached(ttl = 1h, skip(store))]
async fn user(store: &dyn Store, id: u64) -> u64 {
    let _ = store;
    id
}

fn main() {
    let _ = user_entry(7);
}
