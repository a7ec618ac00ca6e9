use hybridcache::hybrid_cached;

/// As sqlx's.
pub struct Transaction<'c>(&'c ());

#[hybrid_cached(ttl = 1h, key = "{id}")]
async fn user(db: &mut Transaction<'_>, id: u64) -> u64 {
    let _ = db;
    id
}

fn main() {
    let _ = user_entry(7);
}
