use hybridcache::{LoadError, hybrid_cached};

struct User;

#[hybrid_cached(ttl = 1h, timeout = 20s)]
async fn user(id: u64) -> Result<User, LoadError> {
    let _ = id;
    Ok(User)
}

fn main() {}
