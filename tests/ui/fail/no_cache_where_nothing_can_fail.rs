use hybridcache::{NoCache, hybrid_cached};

#[hybrid_cached(ttl = 1h)]
async fn user(id: u64) -> Option<u64> {
    if id > 5 {
        return Err(NoCache(id));
    }
    Some(id)
}

fn main() {}
