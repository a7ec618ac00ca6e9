use hybridcache::hybrid_cached;

#[derive(Clone)]
struct Sql;

trait Users {
    async fn user(&self, id: u64) -> u64;
}

impl Users for Sql {
    #[hybrid_cached(ttl = 1h, skip(self))]
    async fn user(&self, id: u64) -> u64 {
        id
    }
}

fn main() {}
