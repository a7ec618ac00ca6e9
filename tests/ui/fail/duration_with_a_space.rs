use hybridcache::{LoadError, hybrid_cached};

#[hybrid_cached(ttl = 1h, timeout = 60 s)]
async fn user(id: u64) -> Result<u64, LoadError> {
    Ok(id)
}

fn main() {
    let _ = user_entry(7);
}
