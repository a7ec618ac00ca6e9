//! Somebody's own function has the name of a handle.
use hybridcache::hybrid_evict;

fn user_entry(id: u64) -> u64 {
    id
}

#[hybrid_evict(user(id))]
async fn rename(id: u64) {
    println!("{id}");
}

fn main() {
    drop(rename);
}
