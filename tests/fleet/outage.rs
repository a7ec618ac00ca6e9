//! Redis that is down, silent, or comes and goes: every call whose load succeeds succeeds, nothing hangs, and Redis is used
//! again once it is back.

use hybridcache::refresh;
use hybridcache_test_support::FaultProxy;

use crate::database::Order;
use crate::fleet::{Fleet, GENEROUS, item};
use crate::invalidation::{call, hold_load};
use crate::recovery::{connected_shop, cut_off, is_connected};
use crate::shop::Shop;
use crate::waiting::{eventually, within};

/// Calls ids from 1000 on until what it stores is found by a process that has just started.
pub(crate) async fn is_used_again(fleet: &Fleet, shop: &Shop) {
    let mut id = 1000;
    eventually("Redis is used again", async || {
        id += 1;
        let found = within("a call", shop.item(id)).await.unwrap();
        assert_eq!(found.id, id);
        fleet.in_redis(id).await == Some(found)
    })
    .await;
}

/// What holds while no answer comes. Item 1 is in memory.
async fn serves_without_redis(fleet: &Fleet, shop: &Shop) {
    assert_eq!(within("a hit", shop.item(1)).await.unwrap(), item(1, 1, 0));
    assert_eq!(within("a hit", shop.item_entry(1).get()).await, Some(item(1, 1, 0)));
    for id in 2..=20 {
        assert_eq!(within("a cold call", shop.item(id)).await.unwrap(), item(id, 1, 0));
        assert_eq!(within("a hit", shop.item(id)).await.unwrap(), item(id, 1, 0));
    }
    assert_eq!(within("a look", shop.item_entry(21).get()).await, None);
    assert_eq!(within("a refresh", refresh(shop.item(2))).await.unwrap(), item(2, 2, 0));
    fleet.database.order(22, &[Order::Fail]).await;
    assert_eq!(within("a failing call", shop.item(22)).await.unwrap_err().to_string(), "out of stock");
    let callers: Vec<_> = (0..100).map(|_| call(shop, 23)).collect();
    for caller in callers {
        assert_eq!(within("a caller", caller).await.unwrap(), item(23, 1, 0), "they still join");
    }
    handles_fail(shop).await;
}

/// The handles say that Redis was not told; this process has forgotten the entry all the same.
async fn handles_fail(shop: &Shop) {
    let entry = shop.item_entry(24);
    within("a call", shop.item(24)).await.unwrap();
    let cache = &shop.cache;
    for told in [
        within("invalidate", entry.invalidate()).await,
        within("expire", entry.expire()).await,
        within("put", entry.put(item(24, 0, 9))).await,
        within("invalidate_tag", cache.invalidate_tag("shelf:1")).await,
        within("invalidate_function", cache.invalidate_function("offer")).await,
    ] {
        let error = told.unwrap_err();
        assert!(error.is_unavailable() || error.is_timeout(), "{error:?}");
        assert!(!error.is_config());
    }
    assert_eq!(within("a call", shop.item(24)).await.unwrap().load, 2);
}

/// Killed by: a tier that tries to connect once only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_was_never_there() {
    let fleet = Fleet::start();
    fleet.redis.kill();
    let shop = within("the cache is built", fleet.hasty_shop()).await;
    shop.item(1).await.unwrap();
    serves_without_redis(&fleet, &shop).await;
    assert!(within("clear", shop.cache.clear()).await.is_err());
    fleet.redis.restart();
    is_used_again(&fleet, &shop).await;
}

/// Killed by: stamps that stay known although the server that had them is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_is_killed() {
    let fleet = Fleet::start();
    let shop = fleet.hasty_shop().await;
    shop.item(1).await.unwrap();
    fleet.redis.kill();
    serves_without_redis(&fleet, &shop).await;
    for _ in 0..2 {
        fleet.redis.restart();
        is_used_again(&fleet, &shop).await;
        fleet.redis.kill();
        within("a call", shop.item(30)).await.unwrap();
    }
}

/// Killed by: commands without a timeout.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_is_stopped() {
    let fleet = Fleet::start();
    let shop = fleet.hasty_shop().await;
    shop.item(1).await.unwrap();
    fleet.redis.stop();
    serves_without_redis(&fleet, &shop).await;
    fleet.redis.resume();
    is_used_again(&fleet, &shop).await;
}

/// Too short for anybody to take the connection for dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_is_stopped_for_a_moment() {
    let fleet = Fleet::start();
    let shop = fleet.hasty_shop().await;
    for id in 1..=5 {
        fleet.redis.stop();
        assert_eq!(within("a call", shop.item(id)).await.unwrap(), item(id, 1, 0));
        fleet.redis.resume();
    }
    is_used_again(&fleet, &shop).await;
    // An `acquire` that ran late is taken back: no lease is left that nobody holds.
    let other = fleet.shop().await;
    for id in 1..=5 {
        assert!(within("another process", other.item(id)).await.unwrap().load <= 2);
    }
    eventually("nothing is left", async || fleet.redis.keys("*:l").is_empty() && fleet.redis.keys("*:s:*").is_empty())
        .await;
}

/// Killed by: a value that is dropped because it could not be published.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_is_killed_during_a_load() {
    for stopped in [false, true] {
        let fleet = Fleet::start();
        let shop = fleet.hasty_shop().await;
        let loading = hold_load(&fleet, &shop, 1).await;
        if stopped {
            fleet.redis.stop()
        } else {
            fleet.redis.kill()
        }
        fleet.database.release(1, 1).await;
        assert_eq!(within("the call", loading).await.unwrap(), item(1, 1, 0));
        assert_eq!(within("a hit", shop.item(1)).await.unwrap(), item(1, 1, 0), "memory has it");
        if stopped {
            fleet.redis.resume()
        } else {
            fleet.redis.restart()
        }
        is_used_again(&fleet, &shop).await;
    }
}

/// The load elsewhere is not released before: the waiter must not depend on it. Killed by: waiters that nobody wakes when
/// the connection ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_is_killed_while_a_call_waits() {
    for stopped in [false, true] {
        let fleet = Fleet::start();
        let (holder, waiter) = (fleet.shop().await, fleet.shop().await);
        let held = hold_load(&fleet, &holder, 1).await;
        fleet.prolong_lease();
        let waiting = call(&waiter, 1);
        fleet.waiting(1).await;
        if stopped {
            fleet.redis.stop()
        } else {
            fleet.redis.kill()
        }
        assert_eq!(within("the waiter", waiting).await.unwrap(), item(1, 2, 0));
        if stopped {
            fleet.redis.resume()
        } else {
            fleet.redis.restart()
        }
        is_used_again(&fleet, &waiter).await;
        fleet.database.release(1, 1).await;
        within("the holder", held).await.unwrap();
        is_used_again(&fleet, &holder).await;
    }
}

/// The other process cannot be reached; what it invalidated is not served once the messages flow again. Killed by: an
/// epoch that stays the same over a reconnection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_invalidated_during_a_gap_is_not_served_after_it() {
    let fleet = Fleet::start();
    let proxy = FaultProxy::start(fleet.redis.port());
    // With the usual budget a busy machine would have it load for itself, and what it loads then stays in its memory.
    let behind = fleet.shop_at(&proxy.url(), |builder| builder.redis_budget(GENEROUS)).await;
    let other = connected_shop(&fleet).await;
    is_connected(&behind).await;
    assert_eq!(behind.item(1).await.unwrap(), item(1, 1, 0));
    assert_eq!(behind.offer(1, 2).await.unwrap(), item(2, 1, 0));
    cut_off(&proxy);
    for id in [1, 2] {
        fleet.database.set_version(id, 1).await;
    }
    other.item_entry(1).invalidate().await.unwrap();
    other.cache.invalidate_tag("shelf:1").await.unwrap();
    assert_eq!(within("a call in the gap", behind.item(1)).await.unwrap(), item(1, 1, 0));
    proxy.restore();
    eventually("the entry is loaded again", async || behind.item(1).await.unwrap().version == 1).await;
    eventually("so is the tagged one", async || behind.offer(1, 2).await.unwrap().version == 1).await;
    assert_eq!(other.offer(1, 2).await.unwrap(), behind.offer(1, 2).await.unwrap());
}

/// A value over the limit is stored in memory alone, so no fence protects it. Killed by: an epoch that is captured when
/// the load ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_for_memory_alone_that_was_invalidated_during_a_gap_is_not_served_after_it() {
    let fleet = Fleet::start();
    let proxy = FaultProxy::start(fleet.redis.port());
    let behind = fleet.shop_at(&proxy.url(), |builder| builder.value_limit(1000)).await;
    let other = fleet.shop().await;
    fleet.database.set_version(1, 2000).await;
    fleet.database.order(1, &[Order::Hold]).await;
    let outdated = tokio::spawn({
        let behind = behind.clone();
        async move { behind.text(1).await.len() }
    });
    fleet.database.begun(1, 1).await;
    cut_off(&proxy);
    fleet.database.set_version(1, 3000).await;
    other.text_entry(1).invalidate().await.unwrap();
    proxy.restore();
    is_used_again(&fleet, &behind).await;
    fleet.database.release(1, 1).await;
    assert_eq!(within("the outdated call", outdated).await.unwrap(), 2000);
    assert_eq!(behind.text(1).await.len(), 3000);
}

/// A load that began before the gap and ends in it, or after it, may have been invalidated meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_was_invalidated_during_a_gap_is_not_served_after_it() {
    let fleet = Fleet::start();
    let proxy = FaultProxy::start(fleet.redis.port());
    let (behind, other) = (fleet.shop_at(&proxy.url(), |builder| builder).await, fleet.shop().await);
    let outdated = hold_load(&fleet, &behind, 1).await;
    cut_off(&proxy);
    fleet.database.set_version(1, 1).await;
    other.item_entry(1).invalidate().await.unwrap();
    fleet.database.release(1, 1).await;
    assert_eq!(within("the outdated call", outdated).await.unwrap(), item(1, 1, 0));
    proxy.restore();
    eventually("the value is loaded again", async || behind.item(1).await.unwrap().version == 1).await;
    assert_eq!(other.item(1).await.unwrap().version, 1);
}
