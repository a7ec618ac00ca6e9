use hybridcache::hybrid_cached;

#[derive(Clone)]
struct User;

#[hybrid_cached(ttl = 1h)]
async fn user(id: u64) -> Result<User, std::fmt::Error> {
    let _ = id;
    Ok(User)
}

fn main() {}
