//! Invalidations whose callers do not wait for the outcome.

use std::future::ready;

use crate::fleet::{Fleet, item};
use crate::waiting::{eventually, within};

/// Redis refuses the invalidation, and what is read before anybody knows is from before it. Killed by: forgetting the entry
/// a second time only where the answer is waited for.
#[tokio::test]
async fn what_was_read_meanwhile_is_forgotten_too() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    assert_eq!(within("a call", shop.item(1)).await.unwrap(), item(1, 1, 0));
    fleet.database.set_version(1, 5).await;
    fleet.redis.config_set("min-replicas-to-write", "1");
    {
        let entry = shop.item_entry(1);
        let mut given_up = Box::pin(entry.invalidate());
        tokio::select! {
            biased;
            told = &mut given_up => panic!("it does not wait for the answer: {told:?}"),
            () = ready(()) => {}
        }
        // Redis answers in order: it has refused by now.
        assert_eq!(within("a call", shop.item(1)).await.unwrap(), item(1, 1, 0));
    }
    fleet.redis.config_set("min-replicas-to-write", "0");
    eventually("it is made up for", async || shop.cache.stats().pending_invalidations == 0).await;
    assert_eq!(within("a call", shop.item(1)).await.unwrap(), item(1, 2, 5));
}
