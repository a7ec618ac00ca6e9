//! The shortest use: one attribute and no set-up. `cargo run --example hello`.

use hybridcache::hybrid_cached;

#[hybrid_cached(ttl = 1h)]
async fn greeting(name: &str) -> String {
    println!("loading");
    format!("Hello, {name}!")
}

#[tokio::main]
async fn main() {
    println!("{}", greeting("Ada").await); // loads
    println!("{}", greeting("Ada").await); // from memory
}
