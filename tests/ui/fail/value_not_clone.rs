use hybridcache::hybrid_cached;

#[derive(serde::Serialize, serde::Deserialize)]
struct User;

#[hybrid_cached(ttl = 1h)]
async fn user(id: u64) -> Option<User> {
    let _ = id;
    Some(User)
}

fn main() {}
