use hybridcache::hybrid_evict;

trait Users {
    #[hybrid_evict(tags = ["users"])]
    async fn rename(&self, id: u64);
}

fn main() {}
