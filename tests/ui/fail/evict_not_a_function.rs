use hybridcache::hybrid_evict;

#[hybrid_evict(tags = ["users"])]
struct Users;

fn main() {
    let _ = Users;
}
