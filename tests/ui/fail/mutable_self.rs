use hybridcache::hybrid_cached;

struct Users(u64);

impl Users {
    #[hybrid_cached(ttl = 1h, skip(self))]
    async fn user(&mut self, id: u64) -> u64 {
        self.0 += 1;
        id
    }
}

fn main() {
    let _ = Users::user_entry(7);
}
