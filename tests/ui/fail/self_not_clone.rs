use hybridcache::hybrid_cached;

struct Users {
    base: u64,
}

impl Users {
    #[hybrid_cached(ttl = 1h, key = "{self.base}:{id}")]
    async fn user(&self, id: u64) -> u64 {
        self.base + id
    }
}

fn main() {}
