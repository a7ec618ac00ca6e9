//! The end of a cache, and of its connections to one URL: others neither wait for it nor miss what it invalidated.

use std::pin::pin;
use std::time::Duration;

use hybridcache::{BreakerState, Outage};
use hybridcache_test_support::{FaultProxy, RedisServer, Reply};

use crate::database::Order;
use crate::endings::poll_once;
use crate::fleet::{Fleet, GENEROUS, item};
use crate::invalidation::{call, hold_load};
use crate::recovery::{connected_shop, cut_off, is_connected, is_open, shop_behind};
use crate::waiting::{eventually, within};

const PATIENCE: Duration = Duration::from_secs(10);

/// Killed by: a close that does not send what is pending.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_that_nobody_waits_for_has_reached_redis_when_the_cache_is_closed() {
    let fleet = Fleet::start();
    let shop = connected_shop(&fleet).await;
    for id in 1..=50 {
        shop.item(id).await.unwrap();
    }
    for id in 1..=50 {
        let entry = shop.item_entry(id);
        let mut invalidating = pin!(entry.invalidate());
        let _ = poll_once(&mut invalidating).await;
    }
    within("closing", shop.cache.close(PATIENCE)).await.unwrap();
    assert!((1..=50).all(|id| !fleet.has_entry("item", id)));
    assert_eq!(shop.cache.stats().pending_invalidations, 0);
}

/// The others are woken by a message: the lease would last for ten minutes. Killed by: a close that leaves leases.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_during_a_load_lets_others_load() {
    let fleet = Fleet::start();
    let (shop, other) = (connected_shop(&fleet).await, fleet.process());
    let loading = hold_load(&fleet, &shop, 1).await;
    let waiting = other.item(1);
    fleet.waiting(1).await;
    fleet.prolong_lease();
    within("closing", shop.cache.close(PATIENCE)).await.unwrap();
    assert_eq!(waiting.await, item(1, 2, 0));
    fleet.database.release(1, 1).await;
    assert_eq!(within("the load", loading).await.unwrap(), item(1, 1, 0), "a load that runs is not ended");
    assert_eq!(fleet.in_redis(1).await, Some(item(1, 2, 0)), "and what it brings stays in its process");
    fleet.leaves_no_trace().await;
}

/// Killed by: a call that waits for a closed tier; an invalidation that claims to be pending; connections that stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_closing_a_cache_goes_on_without_redis() {
    for outage in [Outage::Serve, Outage::Strict] {
        let fleet = Fleet::start();
        let shop = fleet.shop_with(|builder| builder.outage(outage)).await;
        is_connected(&shop).await;
        shop.item(1).await.unwrap();
        within("closing", shop.cache.close(PATIENCE)).await.unwrap();
        let clients = || fleet.redis.command(&[b"CLIENT", b"LIST"]).into_text().unwrap();
        eventually("the connections end", async || clients().lines().all(|line| line.contains("cmd=client"))).await;
        assert_eq!(within("a hit", shop.item(1)).await.unwrap(), item(1, 1, 0));
        assert_eq!(within("a load", shop.item(2)).await.unwrap(), item(2, 1, 0));
        assert_eq!(within("a hit", shop.item(2)).await.unwrap(), item(2, 1, 0));
        assert!(!fleet.has_entry("item", 2));
        for told in [
            within("invalidate", shop.item_entry(2).invalidate()).await,
            within("expire", shop.item_entry(2).expire()).await,
            within("put", shop.item_entry(2).put(item(2, 0, 9))).await,
            within("invalidate_tag", shop.cache.invalidate_tag("shelf:1")).await,
            within("clear", shop.cache.clear()).await,
        ] {
            let error = told.unwrap_err();
            assert!(error.is_unavailable() && !error.is_pending() && error.to_string().contains("closed"), "{error}");
        }
        assert_eq!(within("a load", shop.item(2)).await.unwrap(), item(2, 2, 0), "this process has forgotten it");
        assert!(shop.cache.reconnect(fleet.redis.url()).await.unwrap_err().is_config());
        within("closing again", shop.cache.clone().close(Duration::ZERO)).await.unwrap();
        let stats = shop.cache.stats();
        assert_eq!((stats.breaker, stats.pending_invalidations), (BreakerState::Open, 0));
    }
}

/// Killed by: a close that waits for a tier that is away although there is nothing to send; one that keeps silent about what it
/// could not send.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_without_redis_counts_what_is_pending() {
    let fleet = Fleet::start();
    let [idle, busy] = [connected_shop(&fleet).await, connected_shop(&fleet).await];
    fleet.redis.kill();
    eventually("it is pending", async || busy.item_entry(1).invalidate().await.is_err_and(|error| error.is_pending()))
        .await;
    within("closing", idle.cache.close(Duration::from_secs(3600))).await.unwrap();
    let error = within("closing", busy.cache.close(Duration::from_millis(100))).await.unwrap_err();
    assert!(!error.is_pending() && error.to_string().contains("1 invalidations"), "{error}");
    let later = busy.cache.close(PATIENCE).await.unwrap_err();
    assert_eq!(later.to_string(), error.to_string(), "it was closed before");
}

/// Killed by: closing in the caller's own future.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_goes_on_though_its_caller_goes_away() {
    let fleet = Fleet::start();
    let (network, shop) = shop_behind(&fleet).await;
    shop.item(1).await.unwrap();
    cut_off(&network);
    eventually("it is pending", async || shop.item_entry(1).invalidate().await.is_err_and(|error| error.is_pending()))
        .await;
    {
        let mut closing = pin!(shop.cache.close(PATIENCE));
        assert!(poll_once(&mut closing).await.is_none());
    }
    network.restore();
    eventually("it is sent", async || !fleet.has_entry("item", 1)).await;
}

/// The others are woken by a message: the lease would last for ten minutes. Killed by: a release that is lost with its link.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_could_not_be_given_back_is_given_back_on_the_new_link() {
    let fleet = Fleet::start();
    let ((network, shop), other) = (shop_behind(&fleet).await, fleet.process());
    let loading = hold_load(&fleet, &shop, 1).await;
    let waiting = other.item(1);
    fleet.waiting(1).await;
    fleet.prolong_lease();
    cut_off(&network);
    eventually("the loss is noticed", async || shop.item_entry(2).invalidate().await.is_err()).await;
    fleet.database.release(1, 1).await;
    assert_eq!(within("the load", loading).await.unwrap(), item(1, 1, 0));
    network.restore();
    assert_eq!(waiting.await, item(1, 2, 0));
    fleet.leaves_no_trace().await;
}

/// The connections of the user end.
fn set_password(server: &RedisServer, password: &str) {
    server.command(&[b"ACL", b"DELUSER", b"cache"]);
    let rule = format!(">{password}");
    let words: [&[u8]; 7] = [b"ACL", b"SETUSER", b"cache", b"on", rule.as_bytes(), b"~*", b"&*"];
    let reply = server.command(&[&words[..], &[b"+@all"]].concat());
    assert_eq!(reply, Reply::Simple("OK".to_owned()));
}

/// Killed by: a URL that holds as long as the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_changes_without_a_restart() {
    let fleet = Fleet::start();
    let url = |password: &str| format!("redis://cache:{password}@127.0.0.1:{}", fleet.redis.port());
    set_password(&fleet.redis, "first");
    let shop = fleet.shop_at(&url("first"), |builder| builder.redis_budget(GENEROUS)).await;
    is_connected(&shop).await;
    shop.item(1).await.unwrap();
    set_password(&fleet.redis, "second");
    eventually("it has no connection", async || shop.item_entry(2).invalidate().await.is_err()).await;

    let error = shop.cache.reconnect(url("third")).await.unwrap_err();
    assert!(error.is_unavailable() && !error.to_string().contains("third"), "{error}");
    for unusable in ["", "http://127.0.0.1", "redis://127.0.0.1:port"] {
        assert!(shop.cache.reconnect(unusable).await.unwrap_err().is_config());
    }
    within("reconnecting", shop.cache.reconnect(url("second"))).await.unwrap();
    is_connected(&shop).await;
    assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0), "it is compared, not loaded");
    assert_eq!(fleet.database.loads(1).await, 1);
}

/// Killed by: callers without links between the older and the newer ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reconnecting_while_all_is_well_fails_no_call() {
    let fleet = Fleet::start();
    let network = FaultProxy::start(fleet.redis.port());
    let shop = connected_shop(&fleet).await;
    for url in [network.url(), fleet.redis.url(), network.url()] {
        within("reconnecting", shop.cache.reconnect(&url)).await.unwrap();
        is_connected(&shop).await;
        shop.item_entry(1).invalidate().await.unwrap();
        assert!(!is_open(&shop));
    }
    eventually("the older connections end", async || network.connections() == 2).await;
    let memory_only = hybridcache::HybridCache::builder().build().await.unwrap();
    assert!(memory_only.reconnect(fleet.redis.url()).await.unwrap_err().is_config());
    memory_only.close(Duration::ZERO).await.unwrap();
}

/// The others are woken by a message: the lease would last for ten minutes. Killed by: a thread that ends with the last handle,
/// whatever it has yet to send.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_given_back_although_the_cache_is_dropped_at_once() {
    let fleet = Fleet::start();
    let other = connected_shop(&fleet).await;
    for id in 1..=20 {
        let shop = connected_shop(&fleet).await;
        fleet.database.order(id, &[Order::HoldAndFail]).await;
        let loading = tokio::spawn(async move { shop.item(id).await.is_err() });
        fleet.database.begun(id, 1).await;
        let waiting = call(&other, id);
        fleet.waiting(1).await;
        fleet.prolong_lease();
        fleet.database.release(id, 1).await;
        assert!(within("the load", loading).await.unwrap());
        assert_eq!(within("another process", waiting).await.unwrap(), item(id, 2, 0));
    }
}
