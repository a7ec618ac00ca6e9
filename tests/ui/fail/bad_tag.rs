use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h, key = "{id}", tags = ["user:{id}", "org:{org}"])]
async fn user(id: u64) -> u64 {
    id
}

fn main() {
    let _ = user_entry(7);
}
