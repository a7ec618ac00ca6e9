use axum::Json;
use hybridcache::hybrid_cached;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct User;

#[hybrid_cached(ttl = 1h)]
async fn user(id: u64) -> Json<User> {
    let _ = id;
    Json(User)
}

fn main() {}
