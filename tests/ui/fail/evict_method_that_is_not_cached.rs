use hybridcache::hybrid_evict;

struct Users;

impl Users {
    async fn user(&self, id: u64) -> u64 {
        id
    }

    #[hybrid_evict(self.user(id))]
    async fn rename(&self, id: u64) {
        self.user(id).await;
    }
}

fn main() {
    drop(Users.rename(7));
}
