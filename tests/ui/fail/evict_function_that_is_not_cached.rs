use hybridcache::hybrid_evict;

async fn user(id: u64) -> u64 {
    id
}

#[hybrid_evict(user(id))]
async fn rename(id: u64) {
    println!("{id}");
}

fn main() {
    drop((user, rename));
}
