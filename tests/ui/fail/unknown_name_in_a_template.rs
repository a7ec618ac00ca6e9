use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h, key = "user:{user_di}")]
async fn user(user_id: u64, db: u64) -> u64 {
    user_id + db
}

fn main() {}
