use hybridcache::hybrid_cached;

#[derive(Debug)]
struct AppError;

#[hybrid_cached(ttl = 1h, timeout = 20s)]
async fn user(id: u64) -> Result<u64, AppError> {
    if id == 0 { Err(AppError) } else { Ok(id) }
}

fn main() {}
