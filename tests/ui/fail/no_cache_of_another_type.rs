use hybridcache::{NoCache, hybrid_cached};

#[hybrid_cached(ttl = 1h)]
async fn user(id: u64) -> Result<String, std::fmt::Error> {
    if id > 5 {
        return Err(NoCache(id));
    }
    Ok(id.to_string())
}

fn main() {}
