use hybridcache::{hybrid_cached, hybrid_evict};

#[hybrid_cached(ttl = 1h)]
async fn user(name: String) -> String {
    name
}

#[hybrid_evict(user(name))]
async fn rename(name: String) {
    println!("{name}");
}

fn main() {
    drop(rename);
}
