use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h, key = "{id}")]
async fn user(connection: &mut String, id: u64) -> u64 {
    connection.push('x');
    id
}

fn main() {
    let _ = user_entry(7);
}
