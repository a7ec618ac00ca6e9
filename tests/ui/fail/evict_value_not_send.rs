//! What the function returned is held while it evicts.
use std::rc::Rc;

use hybridcache::hybrid_evict;

#[hybrid_evict(tags = ["users"])]
async fn rename(id: u64) -> Rc<u64> {
    Rc::new(id)
}

fn main() {
    fn is_send(_: impl Send) {}
    is_send(rename(7));
}
