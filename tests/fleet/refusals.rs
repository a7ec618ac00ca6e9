//! Redis that answers, but not as hoped: full, read-only, without permission, or emptied. Never an error for the caller.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use hybridcache::BreakerState;
use hybridcache_test_support::Reply;

use crate::crossing::Commands;
use crate::fleet::{Fleet, item};
use crate::outage::is_used_again;
use crate::shop::Shop;
use crate::waiting::{eventually, within};

/// Item 1 is in memory and in Redis, item 2 in Redis, the rest nowhere.
async fn prepared(fleet: &Fleet) -> Shop {
    let shop = fleet.shop().await;
    shop.item(1).await.unwrap();
    fleet.shop().await.item(2).await.unwrap();
    shop
}

async fn calls_succeed(shop: &Shop) {
    assert_eq!(within("a hit in memory", shop.item(1)).await.unwrap(), item(1, 1, 0));
    assert_eq!(within("a call", shop.item(2)).await.unwrap().id, 2);
    for id in 3..=20 {
        assert_eq!(within("a cold call", shop.item(id)).await.unwrap(), item(id, 1, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_is_full() {
    let fleet = Fleet::start();
    let shop = prepared(&fleet).await;
    fleet.redis.config_set("maxmemory", "1");
    calls_succeed(&shop).await;
    assert_eq!(shop.item(3).await.unwrap(), item(3, 1, 0), "memory has it");
    assert!(!fleet.has_entry("item", 3));
    assert!(shop.cache.stats().redis_errors >= 18);
    fleet.redis.config_set("maxmemory", "0");
    is_used_again(&fleet, &shop).await;
}

/// Killed by: an `expire`, or a change of a stamp, that needs room; a refused put that leaves the older value, or that
/// counts as pending.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_is_full_still_invalidates() {
    let fleet = Fleet::start();
    let (shop, other) = (fleet.shop().await, fleet.shop().await);
    for id in 1..=3 {
        shop.item(id).await.unwrap();
        other.item(id).await.unwrap();
        fleet.database.set_version(id, 1).await;
    }
    shop.offer(1, 4).await.unwrap();
    other.offer(1, 4).await.unwrap();
    fleet.database.set_version(4, 1).await;
    fleet.redis.config_set("maxmemory", "1");
    shop.item_entry(1).invalidate().await.unwrap();
    shop.item_entry(2).expire().await.unwrap();
    // It cannot store, but it must not leave the older value.
    let error = shop.item_entry(3).put(item(3, 0, 9)).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    // There is nothing to be repeated: the older value is gone.
    assert!(!error.is_pending() && shop.cache.stats().breaker == BreakerState::Closed, "{error:?}");
    shop.cache.invalidate_tag("shelf:1").await.unwrap();
    for id in 1..=3 {
        eventually("the other's memory follows", async || other.item(id).await.unwrap().version == 1).await;
        // What was expired may be served once more.
        eventually("it is loaded again", async || shop.item(id).await.unwrap().version == 1).await;
    }
    eventually("the other's memory follows", async || other.offer(1, 4).await.unwrap().version == 1).await;
    assert_eq!(shop.offer(1, 4).await.unwrap().version, 1);
    fleet.redis.config_set("maxmemory", "0");
    let new = fleet.shop().await;
    for id in 1..=3 {
        assert_eq!(new.item(id).await.unwrap().version, 1);
    }
    assert_eq!(new.offer(1, 4).await.unwrap().version, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_became_a_replica_of_nobody() {
    for serves_stale_data in ["yes", "no"] {
        let fleet = Fleet::start();
        let shop = prepared(&fleet).await;
        fleet.redis.config_set("replica-serve-stale-data", serves_stale_data);
        // Nobody listens on port 1.
        assert_eq!(fleet.redis.command(&[b"REPLICAOF", b"127.0.0.1", b"1"]), Reply::Simple("OK".into()));
        calls_succeed(&shop).await;
        let error = within("invalidate", shop.item_entry(3).invalidate()).await.unwrap_err();
        assert!(error.is_unavailable() || error.is_timeout(), "{error:?}");
        assert_eq!(fleet.redis.command(&[b"REPLICAOF", b"NO", b"ONE"]), Reply::Simple("OK".into()));
        is_used_again(&fleet, &shop).await;
    }
}

/// What is taken away while the connection lives, and what gives it back.
const PERMISSIONS: [(&str, &str); 10] = [
    ("-evalsha -eval", "+evalsha +eval"),
    ("-get", "+get"),
    ("-mget", "+mget"),
    ("-set", "+set"),
    ("-publish", "+publish"),
    ("-subscribe", "+subscribe"),
    ("-time", "+time"),
    ("-rename", "+rename"),
    ("resetkeys", "allkeys"),
    ("resetchannels", "allchannels"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_gives_no_permission() {
    for (taken, given) in PERMISSIONS {
        let fleet = Fleet::start();
        let shop = prepared(&fleet).await;
        let set = |rules: &str| {
            let words: Vec<&[u8]> = rules.split(' ').map(str::as_bytes).collect();
            let reply = fleet.redis.command(&[&[&b"ACL"[..], b"SETUSER", b"default"], words.as_slice()].concat());
            assert_eq!(reply, Reply::Simple("OK".into()), "{rules}");
        };
        set(taken);
        calls_succeed(&shop).await;
        let new = within("the cache is built", fleet.shop()).await;
        for id in 30..=40 {
            assert_eq!(within("a call", new.item(id)).await.unwrap(), item(id, 1, 0), "{taken}");
        }
        // Done, or refused with a reason.
        if let Err(error) = within("invalidate", new.item_entry(30).invalidate()).await {
            assert!(error.is_unavailable(), "{taken}: {error:?}");
        }
        assert!(within("a call", new.item(30)).await.is_ok(), "{taken}");
        set(given);
        is_used_again(&fleet, &shop).await;
        is_used_again(&fleet, &new).await;
    }
}

/// Lines that a person could type, answered until the server closes.
fn typed(port: u16, lines: &[&str]) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    for line in lines {
        write!(stream, "{line}\r\n").unwrap();
    }
    write!(stream, "QUIT\r\n").unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_asks_for_a_password_all_of_a_sudden() {
    let fleet = Fleet::start();
    let shop = prepared(&fleet).await;
    fleet.redis.config_set("requirepass", "secret");
    // Connections that exist stay; these end, and new ones are refused.
    typed(fleet.redis.port(), &["AUTH secret", "CLIENT KILL TYPE pubsub", "CLIENT KILL TYPE normal"]);
    calls_succeed(&shop).await;
    let error = within("invalidate", shop.item_entry(1).invalidate()).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    let new = within("the cache is built", fleet.shop()).await;
    assert_eq!(within("a call", new.item(30)).await.unwrap(), item(30, 1, 0));
    let with_password = fleet.redis.url().replace("redis://", "redis://:secret@");
    let admitted = fleet.shop_at(&with_password, |builder| builder.redis_budget(crate::fleet::GENEROUS)).await;
    assert_eq!(admitted.item(2).await.unwrap(), item(2, 1, 0));
    assert_eq!(admitted.cache.stats().hits_redis, 1);
    typed(fleet.redis.port(), &["AUTH secret", "CONFIG SET requirepass \"\""]);
    is_used_again(&fleet, &shop).await;
    is_used_again(&fleet, &new).await;
}

/// Killed by: NOSCRIPT taken for a refusal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_has_lost_the_scripts() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    let flush = || assert_eq!(fleet.redis.command(&[b"SCRIPT", b"FLUSH"]), Reply::Simple("OK".into()));
    for id in 1..=5 {
        flush();
        assert_eq!(shop.item(id).await.unwrap(), item(id, 1, 0));
        assert_eq!(fleet.in_redis(id).await, Some(item(id, 1, 0)));
        flush();
        shop.item_entry(id).expire().await.unwrap();
        flush();
        shop.item_entry(id).put(item(id, 0, 9)).await.unwrap();
        assert_eq!(fleet.in_redis(id).await, Some(item(id, 0, 9)));
        flush();
        shop.item_entry(id).invalidate().await.unwrap();
        assert!(!fleet.has_entry("item", id));
    }
    assert_eq!(shop.cache.stats().redis_errors, 0);
    fleet.leaves_no_trace().await;
}

/// The scripts go while a load holds its lease: publishing must still find them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_loses_the_scripts_during_a_load() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    fleet.database.order(1, &[crate::database::Order::Hold]).await;
    let loading = crate::invalidation::call(&shop, 1);
    fleet.database.begun(1, 1).await;
    fleet.redis.command(&[b"SCRIPT", b"FLUSH"]);
    fleet.database.release(1, 1).await;
    assert_eq!(within("the call", loading).await.unwrap(), item(1, 1, 0));
    assert_eq!(fleet.in_redis(1).await, Some(item(1, 1, 0)));
    fleet.leaves_no_trace().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_was_emptied() {
    let fleet = Fleet::start();
    let shop = prepared(&fleet).await;
    fleet.redis.flush();
    calls_succeed(&shop).await;
    let asked = Commands::during(&fleet.redis, async {
        assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0));
    });
    assert_eq!(asked.await, Commands::none(), "what memory has it keeps");
    assert!(fleet.has_entry("item", 3));
    is_used_again_by_itself(&fleet, &shop).await;
    shop.item_entry(3).invalidate().await.unwrap();
    shop.cache.clear().await.unwrap();
    is_used_again(&fleet, &shop).await;
}

/// By one process, as far as that process can tell.
async fn is_used_again_by_itself(fleet: &Fleet, shop: &Shop) {
    shop.item(50).await.unwrap();
    assert!(fleet.has_entry("item", 50));
    assert_eq!(shop.cache.stats().redis_errors, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_was_emptied_during_a_load() {
    let fleet = Fleet::start();
    let (shop, other) = (fleet.shop().await, fleet.shop().await);
    fleet.database.order(1, &[crate::database::Order::Hold]).await;
    let loading = crate::invalidation::call(&shop, 1);
    fleet.database.begun(1, 1).await;
    fleet.redis.flush();
    assert_eq!(within("another process", other.item(1)).await.unwrap(), item(1, 2, 0), "the lease is lost");
    fleet.database.release(1, 1).await;
    assert_eq!(within("the call", loading).await.unwrap(), item(1, 1, 0));
    assert_eq!(other.item(1).await.unwrap(), item(1, 2, 0));
    fleet.leaves_no_trace().await;
}

/// What is in Redis after a restart without data, or on another server at the same address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_was_replaced() {
    let fleet = Fleet::start();
    let shop = prepared(&fleet).await;
    fleet.redis.restart();
    calls_succeed_again(&shop).await;
    is_used_again(&fleet, &shop).await;
    fleet.redis.restart_with_data();
    calls_succeed_again(&shop).await;
    is_used_again(&fleet, &shop).await;
}

async fn calls_succeed_again(shop: &Shop) {
    for id in 1..=20 {
        assert_eq!(within("a call", shop.item(id)).await.unwrap().id, id);
    }
}
