use hybridcache::hybrid_cached;

struct Db;

#[hybrid_cached(ttl = 1h, skip(db))]
async fn user(db: &Db, id: u64) -> u64 {
    let _: &Db = db;
    id
}

fn main() {}
