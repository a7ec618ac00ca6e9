use hybridcache::{NoCache, hybrid_cached};

#[hybrid_cached(ttl = 1h)]
async fn user(id: u64) -> Result<u64, std::fmt::Error> {
    let provisional = |id| Err(NoCache(id));
    if id > 5 { provisional(id) } else { Ok(id) }
}

fn main() {
    let _ = user_entry(7);
}
