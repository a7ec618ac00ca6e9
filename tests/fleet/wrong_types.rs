//! Keys that hold something else than a string.

use hybridcache_test_support::Reply;

use crate::fleet::{Fleet, item};
use crate::invalidation::hold_load;
use crate::waiting::within;

/// What another program may have put at a key.
const KINDS: [&str; 5] = ["list", "hash", "set", "zset", "stream"];

fn plant(fleet: &Fleet, kind: &str, key: &str) {
    let key = key.as_bytes();
    let words: &[&[u8]] = match kind {
        "list" => &[b"RPUSH", key, b"value"],
        "hash" => &[b"HSET", key, b"field", b"value"],
        "set" => &[b"SADD", key, b"value"],
        "zset" => &[b"ZADD", key, b"1", b"value"],
        _ => &[b"XADD", key, b"*", b"field", b"value"],
    };
    fleet.redis.command(&[b"DEL", key]);
    let reply = fleet.redis.command(words);
    assert!(!matches!(reply, Reply::Error(_)), "{reply:?}");
}

/// Killed by: a script without `pcall` around its first look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_of_another_type_is_a_miss_and_overwritten() {
    let fleet = Fleet::start();
    let writer = fleet.shop().await;
    for (id, kind) in (0..).zip(KINDS) {
        writer.item(id).await.unwrap();
        plant(&fleet, kind, &fleet.entry_key("item", id));
    }
    let reader = fleet.shop().await;
    for (id, kind) in (0..).zip(KINDS) {
        assert_eq!(reader.item_entry(id).get().await, None, "{kind}");
        assert_eq!(within("a call", reader.item(id)).await.unwrap(), item(id, 2, 0), "{kind}");
        assert_eq!(fleet.in_redis(id).await, Some(item(id, 2, 0)), "{kind}");
    }
    fleet.leaves_no_trace().await;
    assert_eq!(reader.cache.stats().redis_errors, 0);
}

/// Killed by: taking another type for nothing at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_of_another_type_is_counted_as_undecodable() {
    let fleet = Fleet::start();
    let writer = fleet.shop().await;
    for (id, kind) in (0..).zip(KINDS) {
        writer.item(id).await.unwrap();
        plant(&fleet, kind, &fleet.entry_key("item", id));
    }
    let reader = fleet.shop().await;
    for id in 0..KINDS.len() as u64 {
        reader.item(id).await.unwrap();
    }
    assert_eq!(reader.cache.stats().undecodable, KINDS.len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_cope_with_an_entry_of_another_type() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    for (id, kind) in (0..).zip(KINDS) {
        shop.item(id).await.unwrap();
        let key = fleet.entry_key("item", id);
        plant(&fleet, kind, &key);
        shop.item_entry(id).expire().await.unwrap();
        plant(&fleet, kind, &key);
        shop.item_entry(id).invalidate().await.unwrap();
        assert!(!fleet.has_entry("item", id), "{kind}");
        plant(&fleet, kind, &key);
        shop.item_entry(id).put(item(id, 0, 9)).await.unwrap();
        assert_eq!(fleet.in_redis(id).await, Some(item(id, 0, 9)), "{kind}");
    }
    fleet.leaves_no_trace().await;
}

/// Killed by: an `acquire.lua` or an `invalidate.lua` that trips over it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_of_another_type_is_replaced() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    for (id, kind) in (0..).zip(KINDS) {
        shop.item(id).await.unwrap();
        let entry = fleet.entry_key("item", id);
        let lease = format!("{}l", entry.strip_suffix('e').unwrap());
        shop.item_entry(id).invalidate().await.unwrap();
        plant(&fleet, kind, &lease);
        assert_eq!(within("a call", shop.item(id)).await.unwrap(), item(id, 2, 0), "{kind}");
        assert_eq!(fleet.in_redis(id).await, Some(item(id, 2, 0)), "{kind}");
        plant(&fleet, kind, &lease);
        shop.item_entry(id).invalidate().await.unwrap();
        plant(&fleet, kind, &lease);
        shop.item_entry(id).put(item(id, 0, 9)).await.unwrap();
        assert_eq!(fleet.in_redis(id).await, Some(item(id, 0, 9)), "{kind}");
    }
    fleet.leaves_no_trace().await;
    assert_eq!(shop.cache.stats().redis_errors, 0);
}

/// Foreign strings where a lease should be: a lease has 16 bytes at least, and a lifetime. Killed by: respecting a lease
/// that never ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_of_foreign_bytes_is_replaced() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    let foreign: [&[u8]; 5] = [b"", b"short", b"0123456789abcdef", b"0123456789abcdef and more", &[0; 1000]];
    for (id, bytes) in (0..).zip(foreign) {
        shop.item(id).await.unwrap();
        let entry = fleet.entry_key("item", id);
        shop.item_entry(id).invalidate().await.unwrap();
        fleet.set(&format!("{}l", entry.strip_suffix('e').unwrap()), bytes);
        assert_eq!(within("a call", shop.item(id)).await.unwrap(), item(id, 2, 0));
        assert_eq!(fleet.in_redis(id).await, Some(item(id, 2, 0)));
    }
    fleet.leaves_no_trace().await;
}

/// Somebody puts something in the place of the lease while its load runs: then the load is not known to be the only one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_is_replaced_during_the_load_is_lost() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    for (id, kind) in (0..).zip(KINDS) {
        let loading = hold_load(&fleet, &shop, id).await;
        plant(&fleet, kind, &fleet.redis.keys("*:l")[0]);
        fleet.database.release(id, 1).await;
        assert_eq!(within("the call", loading).await.unwrap(), item(id, 1, 0), "{kind}");
        assert!(!fleet.has_entry("item", id), "{kind}");
        assert_eq!(within("the next call", shop.item(id)).await.unwrap(), item(id, 2, 0), "{kind}");
        assert_eq!(fleet.in_redis(id).await, Some(item(id, 2, 0)), "{kind}");
    }
    fleet.leaves_no_trace().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_the_place_of_an_entry_during_the_load_is_overwritten() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    for (id, kind) in (0..).zip(KINDS) {
        let loading = hold_load(&fleet, &shop, id).await;
        let lease = fleet.redis.keys("*:l").remove(0);
        plant(&fleet, kind, &format!("{}e", lease.strip_suffix('l').unwrap()));
        fleet.database.release(id, 1).await;
        assert_eq!(within("the call", loading).await.unwrap(), item(id, 1, 0), "{kind}");
        assert_eq!(fleet.in_redis(id).await, Some(item(id, 1, 0)), "{kind}");
    }
    fleet.leaves_no_trace().await;
}
