//! Invalidations whose callers do not wait for the outcome.

use hybridcache::BreakerState;

use crate::endings::poll_once;
use crate::fleet::{Fleet, item};
use crate::waiting::{eventually, within};

/// Redis refuses the invalidation, and what is read before anybody knows is from before it. Killed by: forgetting the entry
/// a second time only where the answer is waited for.
#[tokio::test]
async fn what_was_read_meanwhile_is_forgotten_too() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    let mut id = 0;
    let given_up = loop {
        id += 1;
        fleet.redis.config_set("min-replicas-to-write", "0");
        // Else the value would be loaded without Redis, and stored in memory only.
        eventually("what was refused is made up for, and Redis is used again", async || {
            let stats = shop.cache.stats();
            stats.pending_invalidations == 0 && stats.breaker == BreakerState::Closed
        })
        .await;
        assert_eq!(within("a call", shop.item(id)).await.unwrap(), item(id, 1, 0));
        fleet.database.set_version(id, 5).await;
        fleet.redis.config_set("min-replicas-to-write", "1");
        let entry = shop.item_entry(id);
        let mut given_up = Box::pin(async move { entry.invalidate().await });
        // Where this thread lost the processor in between, the refusal has arrived already: that is another story.
        if poll_once(&mut given_up.as_mut()).await.is_none() {
            break given_up;
        }
    };
    // Redis answers in order: it has refused by now.
    assert_eq!(within("a call", shop.item(id)).await.unwrap(), item(id, 1, 0));
    drop(given_up);
    fleet.redis.config_set("min-replicas-to-write", "0");
    eventually("it is made up for", async || shop.cache.stats().pending_invalidations == 0).await;
    assert_eq!(within("a call", shop.item(id)).await.unwrap(), item(id, 2, 5));
}
