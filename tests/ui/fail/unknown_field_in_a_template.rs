use hybridcache::hybrid_cached;

struct Order {
    user_id: u64,
}

#[hybrid_cached(ttl = 1h, key = "user:{order.user}")]
async fn user(order: Order) -> u64 {
    order.user_id
}

fn main() {}
