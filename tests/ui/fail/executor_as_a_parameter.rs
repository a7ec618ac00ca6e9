use hybridcache::hybrid_cached;

/// As sqlx's.
pub trait Executor<'c> {}

#[hybrid_cached(ttl = 1h, key = "{id}")]
async fn user<'e, E: Executor<'e>>(db: E, id: u64) -> u64 {
    let _ = db;
    id
}

fn main() {}
