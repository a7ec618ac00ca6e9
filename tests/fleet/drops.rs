//! The values of users have a `Drop`, which may take its time or panic: the thread that reads messages runs none.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use hybridcache::hybrid_cached;
use serde::{Deserialize, Serialize};

use crate::fleet::{Fleet, item};
use crate::recovery::connected_shop;
use crate::shop::Shop;
use crate::waiting::eventually;

static DROPPED: AtomicUsize = AtomicUsize::new(0);
static DROPPED_BY: Mutex<Option<HashSet<String>>> = Mutex::new(None);

#[derive(Serialize, Deserialize)]
struct Guest {
    id: u64,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        DROPPED_BY.lock().unwrap().get_or_insert_default().insert(thread);
        DROPPED.fetch_add(1, SeqCst);
        std::panic::resume_unwind(Box::new("a guest leaves"));
    }
}

/// More than a thread keeps of what is removed.
const MANY: u64 = 200;

impl Shop {
    /// In memory from a put: what is loaded is compared with a copy, whose end would be that of the load.
    #[hybrid_cached(name = "guest", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn guest(&self, id: u64) -> Arc<Guest> {
        Arc::new(Guest { id })
    }
}

/// Killed by: freeing what a message removes where it is read; letting its panic through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_message_removes_is_not_dropped_by_who_reads_it() {
    let fleet = Fleet::start();
    // Values over the limit are neither encoded nor compared.
    let shop = fleet.shop_with(|builder| builder.value_limit(1)).await;
    let other = connected_shop(&fleet).await;
    for id in 0..MANY {
        shop.guest_entry(id).put(Arc::new(Guest { id })).await.unwrap();
    }
    assert_eq!(shop.guest(0).await.id, 0);
    let (kept, dropped) = (shop.cache.memory_entries(), DROPPED.load(SeqCst));
    assert_eq!(kept, MANY);
    for id in 0..MANY {
        other.guest_entry(id).invalidate().await.unwrap();
    }
    eventually("the messages have come", async || shop.cache.memory_entries() == 0).await;
    eventually("all but a few are dropped", async || DROPPED.load(SeqCst) + 50 > dropped + MANY as usize).await;
    let threads = DROPPED_BY.lock().unwrap().clone().unwrap();
    assert!(!threads.contains("hybridcache-redis"), "{threads:?}");
    // The links live.
    assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0));
    fleet.database.set_version(1, 1).await;
    other.item_entry(1).invalidate().await.unwrap();
    eventually("it follows", async || shop.item(1).await.unwrap().version == 1).await;
    assert_eq!(shop.cache.stats().breaker_opened, 0);
}
