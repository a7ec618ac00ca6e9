use hybridcache::{NoCache, hybrid_cached};

#[hybrid_cached(ttl = 1h)]
async fn user(id: u64) -> anyhow::Result<u64> {
    let id = if id > 5 { Err(NoCache(id)) } else { Ok(id) };
    Ok(id?)
}

fn main() {
    let _ = user_entry(7);
}
