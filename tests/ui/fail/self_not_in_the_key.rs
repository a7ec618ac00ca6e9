use hybridcache::hybrid_cached;

#[derive(Clone)]
struct Users {
    tenant: u64,
}

impl Users {
    #[hybrid_cached(ttl = 1h, key = "user:{id}")]
    async fn user(&self, id: u64) -> u64 {
        self.tenant + id
    }
}

fn main() {
    let _ = Users::user_entry(7);
}
