use async_trait::async_trait;
use hybridcache::hybrid_cached;

#[derive(Clone)]
struct Sql;

#[async_trait]
trait Users {
    async fn user(&self, id: u64) -> u64;
}

#[async_trait]
impl Users for Sql {
    #[hybrid_cached(ttl = 1h, skip(self))]
    async fn user(&self, id: u64) -> u64 {
        id
    }
}

fn main() {}
