use std::error::Error;

use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h)]
async fn user(id: u64) -> Result<u64, Box<dyn Error>> {
    Ok(id)
}

fn main() {
    let _ = user_entry(7);
}
