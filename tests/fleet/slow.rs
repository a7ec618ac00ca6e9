//! Redis that does what it was asked, but later than anybody waits for: `CLIENT PAUSE` holds commands back and runs them
//! all in the end.

use std::time::Duration;

use hybridcache_test_support::Reply;

use crate::fleet::{Fleet, item};
use crate::invalidation::{call, hold_load};
use crate::shop::Shop;
use crate::waiting::{eventually, within};

/// Holds back what writes, scripts included, until [`go_on`]; reading is answered.
fn pause(fleet: &Fleet) {
    let reply = fleet.redis.command(&[b"CLIENT", b"PAUSE", b"60000", b"WRITE"]);
    assert_eq!(reply, Reply::Simple("OK".into()));
}

fn go_on(fleet: &Fleet) {
    assert_eq!(fleet.redis.command(&[b"CLIENT", b"UNPAUSE"]), Reply::Simple("OK".into()));
}

/// With a budget that commands which are answered keep on any machine.
async fn shop(fleet: &Fleet) -> Shop {
    fleet.shop_with(|builder| builder.redis_budget(Duration::from_millis(500))).await
}

/// The lease is granted when nobody waits for it any more. Killed by: a timed-out `acquire` that is not followed by a
/// release.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_was_granted_too_late_is_given_back() {
    let fleet = Fleet::start();
    let shop = shop(&fleet).await;
    shop.item(100).await.unwrap();
    pause(&fleet);
    for id in 1..=5 {
        assert_eq!(within("a call", shop.item(id)).await.unwrap(), item(id, 1, 0));
    }
    go_on(&fleet);
    fleet.leaves_no_trace().await;
    assert!(!fleet.has_entry("item", 5), "a load without a lease stores nothing in Redis");
    let other = fleet.shop().await;
    for id in 1..=5 {
        assert_eq!(within("another process", other.item(id)).await.unwrap(), item(id, 2, 0));
    }
    fleet.leaves_no_trace().await;
}

/// Killed by: a value that is dropped because its publish was not answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_published_too_late_is_stored_all_the_same() {
    let fleet = Fleet::start();
    let shop = shop(&fleet).await;
    let loading = hold_load(&fleet, &shop, 1).await;
    eventually("it holds the lease", async || !fleet.redis.keys("*:l").is_empty()).await;
    pause(&fleet);
    fleet.database.release(1, 1).await;
    assert_eq!(within("the call", loading).await.unwrap(), item(1, 1, 0));
    assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0), "memory has it");
    go_on(&fleet);
    fleet.leaves_no_trace().await;
    let other = fleet.shop().await;
    assert_eq!(other.item(1).await.unwrap(), item(1, 1, 0));
    assert_eq!(fleet.database.loads(1).await, 1);
}

/// The late publish meets an invalidation that was acknowledged before it ran.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_published_too_late_does_not_undo_an_invalidation() {
    let fleet = Fleet::start();
    let (shop, other) = (shop(&fleet).await, fleet.shop().await);
    let loading = hold_load(&fleet, &shop, 1).await;
    fleet.database.set_version(1, 1).await;
    pause(&fleet);
    // Sent before the publish, so it runs before it.
    let handle = other.item_entry(1);
    let invalidating = tokio::spawn(async move { handle.invalidate().await });
    eventually("it is held back", async || fleet.redis.info("clients").contains("blocked_clients:1\r\n")).await;
    fleet.database.release(1, 1).await;
    assert_eq!(within("the call", loading).await.unwrap(), item(1, 1, 0));
    go_on(&fleet);
    // Whether the answer came in time is another matter.
    let _ = within("the invalidation", invalidating).await.unwrap();
    fleet.leaves_no_trace().await;
    assert!(!fleet.has_entry("item", 1));
    for shop in [&shop, &other] {
        eventually("memory follows", async || shop.item(1).await.unwrap() == item(1, 2, 1)).await;
    }
}

/// What a handle was told is "not in time", not "no": it runs in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_that_is_not_answered_in_time_says_so() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    shop.item(1).await.unwrap();
    pause(&fleet);
    let error = within("the invalidation", shop.item_entry(1).invalidate()).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert!(!error.is_unavailable() && !error.is_config());
    go_on(&fleet);
    eventually("it runs in the end", async || !fleet.has_entry("item", 1)).await;
    assert_eq!(shop.item(1).await.unwrap(), item(1, 2, 0));
}

/// Waiters elsewhere go on when the holder cannot publish.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiter_loads_for_itself_while_nothing_is_answered() {
    let fleet = Fleet::start();
    let (holder, waiter) = (shop(&fleet).await, shop(&fleet).await);
    let held = hold_load(&fleet, &holder, 1).await;
    let waiting = call(&waiter, 1);
    pause(&fleet);
    assert_eq!(within("the waiter", waiting).await.unwrap(), item(1, 2, 0));
    fleet.database.release(1, 1).await;
    assert_eq!(within("the holder", held).await.unwrap(), item(1, 1, 0));
    go_on(&fleet);
    eventually("nothing is left", async || fleet.redis.keys("*:l").is_empty() && fleet.redis.keys("*:s:*").is_empty())
        .await;
}
