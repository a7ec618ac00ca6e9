use hybridcache::hybrid_cached;

/// As `tokio_postgres`'s or rusqlite's values: `Clone`, and not `Serialize`.
#[derive(Clone)]
pub struct Row(u64);

#[hybrid_cached(ttl = 1h)]
async fn rows(id: u64) -> Result<Vec<Row>, std::fmt::Error> {
    Ok(vec![Row(id)])
}

fn main() {}
