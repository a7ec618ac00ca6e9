use hybridcache::hybrid_cached;

/// As sqlx's: not `Clone`, and not `Serialize`.
pub struct Row(u64);

#[hybrid_cached(ttl = 1h)]
async fn rows(id: u64) -> Result<Vec<Row>, std::fmt::Error> {
    Ok(vec![Row(id)])
}

fn main() {}
