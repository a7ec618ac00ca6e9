use hybridcache::{NoCache, hybrid_cached};

#[hybrid_cached(ttl = 1h)]
async fn user(id: u64) -> anyhow::Result<u64> {
    Ok(id.checked_sub(5).ok_or(id).map_err(NoCache)?)
}

fn main() {
    let _ = user_entry(7);
}
