use hybridcache::hybrid_cached;

trait Users {
    #[hybrid_cached(ttl = 1h)]
    async fn user(id: u64) -> u64;
}

fn main() {}
