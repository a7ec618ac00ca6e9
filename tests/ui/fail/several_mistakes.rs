//! Each is reported once, and other code that uses the function compiles.
use hybridcache::{NoCache, hybrid_cached};

#[hybrid_cached(ttl = 5, fresh_fr = 1m, key = "{di}")]
async fn user(id: u64) -> Result<u64, std::fmt::Error> {
    if id > 5 {
        return Err(NoCache(id));
    }
    Ok(id)
}

async fn caller() -> Result<u64, std::fmt::Error> {
    user(7).await
}

fn main() {
    drop(caller());
}
