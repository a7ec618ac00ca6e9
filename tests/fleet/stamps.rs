//! Redis loses a stamp, or has something else in its place. That can only cost loads.

use hybridcache_test_support::Reply;

use crate::fleet::{Fleet, item};
use crate::waiting::{eventually, within};

/// The stamps of the namespace, of `offer`, and of shelf 1.
fn stamps(fleet: &Fleet) -> Vec<String> {
    let keys = fleet.redis.keys("hc2:{fleet:t:*");
    assert_eq!(keys.len(), 3, "{keys:?}");
    keys
}

fn tag_stamp(fleet: &Fleet) -> String {
    fleet.redis.keys("hc2:{fleet:t:*}:t:shelf:1").remove(0)
}

/// Killed by: an absent stamp that is taken for the one an entry has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_stamp_an_entry_is_a_miss() {
    for place in 0..3 {
        let fleet = Fleet::start();
        fleet.shop().await.offer(1, 1).await.unwrap();
        fleet.redis.command(&[b"DEL", stamps(&fleet)[place].as_bytes()]);
        assert_eq!(fleet.shop().await.offer_entry(1, 1).get().await, None);
        assert_eq!(fleet.shop().await.offer(1, 1).await.unwrap(), item(1, 2, 0));
        assert_eq!(fleet.shop().await.offer(1, 1).await.unwrap(), item(1, 2, 0), "the new stamp stays");
    }
}

/// Killed by: a stamp that counts up from zero.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_stamp_does_not_bring_back_what_was_invalidated() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    shop.offer(1, 1).await.unwrap();
    let invalidated = fleet.entry("offer", 1);
    for _ in 0..3 {
        shop.cache.invalidate_tag("shelf:1").await.unwrap();
        fleet.shop().await.offer(1, 2).await.unwrap();
        fleet.redis.command(&[b"DEL", tag_stamp(&fleet).as_bytes()]);
        assert_eq!(fleet.entry("offer", 1), invalidated, "the entry itself is left, to be hidden");
        assert_eq!(fleet.shop().await.offer_entry(1, 1).get().await, None);
    }
    fleet.database.set_version(1, 1).await;
    assert_eq!(fleet.shop().await.offer(1, 1).await.unwrap(), item(1, 2, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_stamp_is_replaced() {
    let garbage: [&[&[u8]]; 7] = [
        &[b"SET", b"KEY", b""],
        &[b"SET", b"KEY", b"zzzzzzzzzzzzzzzz"],
        &[b"SET", b"KEY", b"0000000000000000"],
        &[b"SET", b"KEY", &[0xff; 100]],
        &[b"HSET", b"KEY", b"field", b"value"],
        &[b"RPUSH", b"KEY", b"value"],
        &[b"XADD", b"KEY", b"*", b"field", b"value"],
    ];
    let fleet = Fleet::start();
    fleet.shop().await.offer(1, 1).await.unwrap();
    let mut load = 1;
    for place in 0..3 {
        for command in garbage {
            let stamp = stamps(&fleet)[place].clone();
            fleet.redis.command(&[b"DEL", stamp.as_bytes()]);
            let words: Vec<&[u8]> =
                command.iter().map(|word| if *word == b"KEY" { stamp.as_bytes() } else { *word }).collect();
            assert!(!matches!(fleet.redis.command(&words), Reply::Error(_)));
            load += 1;
            let shop = fleet.shop().await;
            assert_eq!(within("a call", shop.offer(1, 1)).await.unwrap(), item(1, load, 0), "{place} {command:?}");
            assert_eq!(shop.cache.stats().redis_errors, 0);
            assert_eq!(fleet.shop().await.offer(1, 1).await.unwrap(), item(1, load, 0), "{place} {command:?}");
            shop.cache.invalidate_tag("shelf:1").await.unwrap();
            shop.cache.invalidate_tag("shelf:1").await.unwrap();
            load += 1;
            assert_eq!(fleet.shop().await.offer(1, 1).await.unwrap(), item(1, load, 0), "{place} {command:?}");
        }
    }
}

/// Restamping replaces whatever is there. Killed by: stamps that are not compared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalidating_a_tag_replaces_what_is_no_stamp() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    shop.offer(1, 1).await.unwrap();
    let tag = tag_stamp(&fleet);
    fleet.redis.command(&[b"DEL", tag.as_bytes()]);
    fleet.redis.command(&[b"RPUSH", tag.as_bytes(), b"value"]);
    shop.cache.invalidate_tag("shelf:1").await.unwrap();
    assert_eq!(fleet.redis.keys(&tag), [""; 0]);
    assert_eq!(shop.offer(1, 1).await.unwrap(), item(1, 2, 0));
    assert_eq!(fleet.shop().await.offer(1, 1).await.unwrap(), item(1, 2, 0));
}

/// Processes that knew the stamps before Redis lost them, and one that has started since, must come to share entries
/// again: otherwise each voids what the other stores, until one of them reconnects.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_redis_lost_its_data_the_fleet_agrees_on_the_stamps_again() {
    let fleet = Fleet::start();
    let old = fleet.shop().await;
    old.offer(1, 1).await.unwrap();
    fleet.redis.flush();
    let new = fleet.shop().await;
    let mut id = 1;
    eventually("what the new process stores is found by the old one, and the other way round", async || {
        id += 2;
        new.offer(1, id).await.unwrap();
        old.offer(1, id).await.unwrap();
        old.offer(1, id + 1).await.unwrap();
        new.offer(1, id + 1).await.unwrap();
        fleet.database.loads(id).await == 1 && fleet.database.loads(id + 1).await == 1
    })
    .await;
}
