//! Which values are seen.

use std::time::{Duration, Instant};

use hybridcache::{HybridCache, Outage, hybrid_cached};
use hybridcache_test_support::{Direction, FaultProxy, Flow, Reply};

use crate::crossing::Commands;
use crate::database::{Database, Item, Order};
use crate::envelope::{EXPIRES_AT, FRESH_UNTIL, with_time};
use crate::fleet::{Fleet, GENEROUS, item};
use crate::invalidation::{call, hold_outdated_load};
use crate::recovery::{Gap, connected_shop, is_connected, shop_behind};
use crate::shop::Failure;
use crate::strict::{self, BOUND};
use crate::waiting::{eventually, within};

/// Killed by: an `invalidate.lua` that keeps the lease, or the entry; memory that is not cleared by its own process, or
/// not by messages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i02_nothing_older_than_an_invalidation_is_kept() {
    let fleet = Fleet::start();
    let (shop, other) = (connected_shop(&fleet).await, connected_shop(&fleet).await);
    // Item 1 is being loaded, item 2 is in all tiers.
    let outdated = hold_outdated_load(&fleet, &shop).await;
    for shop in [&shop, &other] {
        assert_eq!(shop.item(2).await.unwrap(), item(2, 1, 0));
    }
    fleet.database.set_version(2, 1).await;
    for id in [1, 2] {
        shop.item_entry(id).invalidate().await.unwrap();
        assert!(!fleet.has_entry("item", id));
    }
    assert_eq!(shop.item(2).await.unwrap(), item(2, 2, 1), "at once in the same process");
    eventually("the message arrives", async || other.item(2).await.unwrap() == item(2, 2, 1)).await;
    fleet.database.release(1, 1).await;
    within("the outdated call", outdated).await.unwrap();
    assert!(!fleet.has_entry("item", 1));
    assert_eq!(shop.item_entry(1).get().await, None);
}

/// Messages are lost, in silence. One tagged entry is in memory from before, one is read from Redis meanwhile: neither is
/// served three seconds after it was voided. Killed by: numbers of stamps that stay known while no message proves them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i02_under_strict_memory_serves_nothing_voided_three_seconds_ago() {
    let fleet = Fleet::start();
    let ((network, shop), other) = (strict::shop(&fleet, Outage::Strict).await, connected_shop(&fleet).await);
    shop.item(1).await.unwrap();
    shop.offer(1, 2).await.unwrap();
    other.offer(1, 3).await.unwrap();
    for id in 1..=3 {
        fleet.database.set_version(id, 1).await;
    }
    network.set_for_subscribers(Direction::ToClient, Flow::Swallow);
    other.item_entry(1).invalidate().await.unwrap();
    other.cache.invalidate_tag("shelf:1").await.unwrap();
    let voided = Instant::now();
    let mut looked = false;
    eventually("three seconds pass", async || {
        shop.item(1).await.unwrap();
        shop.offer(1, 2).await.unwrap();
        if !looked && voided.elapsed() > BOUND / 2 {
            looked = true;
            shop.offer(1, 3).await.unwrap();
        }
        voided.elapsed() > BOUND
    })
    .await;
    assert_eq!(shop.item(1).await.unwrap().version, 1);
    assert_eq!(shop.offer(1, 2).await.unwrap().version, 1);
    assert_eq!(shop.offer(1, 3).await.unwrap().version, 1);
}

/// The message has not come yet, so the call joins the outdated load. Killed by: a fenced result handed to those who joined
/// after the load began.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i06_no_call_returns_a_load_from_before_an_invalidation() {
    let fleet = Fleet::start();
    let ((network, shop), other) = (shop_behind(&fleet).await, connected_shop(&fleet).await);
    let outdated = hold_outdated_load(&fleet, &shop).await;
    network.set_for_subscribers(Direction::ToClient, Flow::Hold);
    other.item_entry(1).invalidate().await.unwrap();
    let after: Vec<_> = (0..10).map(|_| call(&shop, 1)).collect();
    eventually("they join", async || shop.cache.stats().joined == 10).await;
    fleet.database.release(1, 1).await;
    assert_eq!(within("the outdated call", outdated).await.unwrap(), item(1, 1, 0));
    for after in after {
        assert_eq!(within("a call after the invalidation", after).await.unwrap(), item(1, 2, 1));
    }
    network.restore();
    assert_eq!(fleet.database.loads(1).await, 2);
}

/// Killed by: an envelope that is not checked; stamps that are not compared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i07_what_cannot_be_read_is_a_miss() {
    let fleet = Fleet::start();
    let first = connected_shop(&fleet).await;
    first.item(1).await.unwrap();
    first.text(1).await;
    first.brief(1).await.unwrap();
    let good = fleet.entry("item", 1);
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    let foreign = [
        b"garbage".to_vec(),
        Vec::new(),
        good[..good.len() - 1].to_vec(),
        [good.as_slice(), b"x"].concat(),
        flipped(0),
        flipped(3),
        flipped(5),
        flipped(40),
        flipped(60),
        flipped(good.len() - 1),
        // Well-formed, and of other functions: with another type, and with the same.
        fleet.entry("text", 1),
        fleet.entry("brief", 1),
    ];
    let mut loads = fleet.database.loads(1).await;
    for (number, bytes) in foreign.into_iter().enumerate() {
        fleet.set_entry("item", 1, &bytes);
        loads += 1;
        let shop = connected_shop(&fleet).await;
        assert_eq!(shop.item(1).await.unwrap(), item(1, loads, 0), "case {number}");
        assert_eq!(fleet.in_redis(1).await, Some(item(1, loads, 0)), "case {number}: overwritten");
    }
}

/// Whatever Redis says of the times. Killed by: a lifetime in memory that is the function's own; an end that is left to
/// Redis; a stale value that counts as fresh.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i09_memory_ends_when_the_entry_does() {
    let fleet = Fleet::start();
    fleet.shop().await.item(1).await.unwrap();
    let (fresh_until, expires_at) = (fleet.now() + 1_000, fleet.now() + 2_000);
    let envelope = with_time(&fleet.entry("item", 1), FRESH_UNTIL, fresh_until);
    fleet.set_entry("item", 1, &with_time(&envelope, EXPIRES_AT, expires_at));
    // Its refreshes fail, so that only time changes what is seen.
    fleet.database.order(1, &[Order::Fail; 10]).await;
    let shop = connected_shop(&fleet).await;
    assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0));
    assert_eq!(shop.cache.stats().stale_hits, 0);
    eventually("it goes stale", async || fleet.now() > fresh_until + 50).await;
    assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0));
    assert_eq!(shop.cache.stats().stale_hits, 1);
    eventually("it ends", async || fleet.now() > expires_at + 50).await;
    assert_eq!(shop.item_entry(1).get().await, None);
    assert!(!matches!(shop.item(1).await, Ok(found) if found.load == 1));
}

#[derive(Clone, Debug)]
struct Market {
    cache: HybridCache,
    database: Database,
}

impl Market {
    #[hybrid_cached(name = "offering", ttl = 3s, key = "{id}", skip(self), cache = self.cache)]
    async fn offering(&self, id: u64) -> Result<Item, Failure> {
        Ok(self.database.load(id).await?)
    }
}

/// After a gap, an entry is compared with Redis shortly before its end, and the answer comes after it. Killed by: serving
/// whatever the comparison found equal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i09_nothing_ends_later_for_having_been_compared() {
    let fleet = Fleet::start();
    let network = FaultProxy::start(fleet.redis.port());
    let shop = fleet.shop_at(&network.url(), |builder| builder.redis_budget(GENEROUS)).await;
    is_connected(&shop).await;
    let market = Market { cache: shop.cache.clone(), database: shop.database.clone() };
    // A busy machine may take longer than the entry lives.
    for id in 1..=5 {
        assert_eq!(market.offering(id).await.unwrap(), item(id, 1, 0));
        Gap::CommandsKilled.happen(&fleet, &network, &shop).await;
        // A command that is not answered for a second has failed.
        eventually("its end is near", async || left(&fleet, id) < 700).await;
        network.set(Direction::ToClient, Flow::Hold);
        let asked = Commands::so_far(&fleet.redis).of("getrange");
        let caller = tokio::spawn({
            let market = market.clone();
            async move { market.offering(id).await.unwrap() }
        });
        eventually("it is compared, or loaded", async || {
            Commands::so_far(&fleet.redis).of("getrange") > asked || fleet.database.loads(id).await > 1
        })
        .await;
        let was_there = left(&fleet, id) > 0;
        eventually("the entry ends", async || left(&fleet, id) == 0).await;
        network.restore();
        assert_eq!(within("the caller", caller).await.unwrap(), item(id, 2, 0));
        if was_there {
            return;
        }
    }
    panic!("no entry lived until it was compared");
}

/// Publishing takes its time, and the envelope was made before. Killed by: a lifetime in memory that begins when publishing
/// has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i09_memory_ends_no_later_than_redis() {
    let fleet = Fleet::start();
    let (network, shop) = shop_behind(&fleet).await;
    let market = Market { cache: shop.cache.clone(), database: shop.database.clone() };
    network.set(Direction::ToClient, Flow::Delay(Duration::from_millis(500)));
    assert_eq!(within("a call", market.offering(1)).await.unwrap(), item(1, 1, 0));
    network.restore();
    eventually("the entry ends", async || left(&fleet, 1) == 0).await;
    assert_eq!(market.offering(1).await.unwrap(), item(1, 2, 0));
}

/// Milliseconds, in Redis. An entry of which none is left is there until the next one begins.
fn left(fleet: &Fleet, id: u64) -> i64 {
    match fleet.redis.keys(&format!("*:offering@*:{id}:e")).first() {
        Some(key) => match fleet.redis.command(&[b"PTTL", key.as_bytes()]) {
            Reply::Integer(-2) => 0,
            Reply::Integer(left) => left.max(1),
            other => panic!("PTTL {key}: {other:?}"),
        },
        None => 0,
    }
}

/// In both tiers of all processes. Killed by: an envelope with the stamps that stand when the load ends; memory that does
/// not compare stamps; a `restamp` without a message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i12_a_group_hides_what_was_loaded_before() {
    for group in ["tag", "function", "namespace"] {
        let fleet = Fleet::start();
        let (shop, other) = (connected_shop(&fleet).await, connected_shop(&fleet).await);
        // Offer 1 is being loaded, offer 2 is in all tiers.
        fleet.database.order(1, &[Order::Hold]).await;
        let outdated = tokio::spawn({
            let shop = shop.clone();
            async move { shop.offer(1, 1).await.unwrap() }
        });
        fleet.database.begun(1, 1).await;
        for shop in [&shop, &other] {
            assert_eq!(shop.offer(1, 2).await.unwrap(), item(2, 1, 0));
        }
        for id in [1, 2] {
            fleet.database.set_version(id, 1).await;
        }
        match group {
            "tag" => other.cache.invalidate_tag("shelf:1").await.unwrap(),
            "function" => other.cache.invalidate_function("offer").await.unwrap(),
            _ => other.cache.clear().await.unwrap(),
        }
        fleet.database.release(1, 1).await;
        assert_eq!(within("the outdated call", outdated).await.unwrap(), item(1, 1, 0));
        for id in [1, 2] {
            assert_eq!(fleet.shop().await.offer_entry(1, id).get().await, None, "{group}: Redis");
            assert_eq!(other.offer(1, id).await.unwrap(), item(id, 2, 1), "{group}: its own process");
            eventually("the message arrives", async || shop.offer(1, id).await.unwrap() == item(id, 2, 1)).await;
        }
    }
}
