//! Refreshes that start early, and what a load sees of what it replaces, over Redis.

use hybridcache::{hybrid_cached, this_load};
use hybridcache_test_support::{Direction, Flow};

use crate::database::{Item, Order};
use crate::envelope::{FRESH_UNTIL, LOADED_AT, time, with_time};
use crate::fleet::{Fleet, item};
use crate::recovery::shop_behind;
use crate::shop::{Failure, Shop};
use crate::waiting::{eventually, within};

impl Shop {
    #[hybrid_cached(
        name = "ahead", fresh_for = 1h, ttl = 2h, refresh_ahead = 30m, key = "{id}", skip(self), cache = self.cache
    )]
    async fn ahead(&self, id: u64) -> Result<Item, Failure> {
        self.load(id).await
    }

    /// Its last part begins after two seconds.
    #[hybrid_cached(
        name = "soon", fresh_for = 1h, ttl = 2h, refresh_ahead = 3598s, key = "{id}", skip(self), cache = self.cache
    )]
    async fn soon(&self, id: u64) -> Result<Item, Failure> {
        self.load(id).await
    }

    /// Its version is the number of the load that it replaces.
    #[hybrid_cached(
        name = "replacing", fresh_for = 300ms, ttl = 2h, key = "{id}", tags = ["r:{id}"], skip(self), cache = self.cache
    )]
    async fn replacing(&self, id: u64) -> Result<Item, Failure> {
        let previous: Option<Item> = this_load().previous();
        let loaded = self.load(id).await?;
        Ok(Item { version: previous.map_or(0, |previous| previous.load), ..loaded })
    }

    #[hybrid_cached(name = "kept", err_ttl = 1h, ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn kept(&self, id: u64) -> Result<Item, Failure> {
        self.load(id).await
    }

    #[hybrid_cached(
        name = "softly", fresh_for = 1h, ttl = 2h, soft_timeout = 30s, key = "{id}", skip(self), cache = self.cache
    )]
    async fn softly(&self, id: u64) -> Result<Item, Failure> {
        self.load(id).await
    }
}

/// Makes the entry in Redis older by so many minutes.
fn age(fleet: &Fleet, function: &str, minutes: u64) {
    let mut entry = fleet.entry(function, 1);
    for place in [LOADED_AT, FRESH_UNTIL] {
        entry = with_time(&entry, place, time(&entry, place) - minutes * 60_000);
    }
    fleet.set_entry(function, 1, &entry);
}

/// Three processes find the entry in the last part of its freshness: each returns it at once, one of them loads, and the
/// others take what it has loaded.
///
/// Killed by: a refresh that adopts the entry which it is to replace; one that does not look in Redis first; a hit in
/// Redis that starts none; a hit that counts as stale.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_loads_early_and_the_others_take_it() {
    let fleet = Fleet::start();
    fleet.shop().await.ahead(1).await.unwrap();
    age(&fleet, "ahead", 29);
    let shops = [fleet.shop().await, fleet.shop().await, fleet.shop().await];
    assert_eq!(shops[0].ahead(1).await.unwrap(), item(1, 1, 0));
    fleet.leaves_no_trace().await;
    assert_eq!(fleet.database.loads(1).await, 1, "not yet the last part");

    age(&fleet, "ahead", 5);
    fleet.database.order(1, &[Order::Hold]).await;
    for shop in &shops[1..] {
        assert_eq!(within("it is returned at once", shop.ahead(1)).await.unwrap(), item(1, 1, 0));
    }
    fleet.database.begun(1, 2).await;
    fleet.waiting(1).await;
    for shop in &shops[1..] {
        assert_eq!(shop.ahead(1).await.unwrap(), item(1, 1, 0), "it is fresh");
    }
    fleet.database.release(1, 2).await;
    for shop in &shops[1..] {
        eventually("it has the new value", async || shop.ahead(1).await.unwrap() == item(1, 2, 0)).await;
        let stats = shop.cache.stats();
        assert_eq!((stats.stale_hits, stats.misses, stats.refreshes), (0, 0, 1));
    }
    fleet.leaves_no_trace().await;
    assert_eq!(fleet.database.loads(1).await, 2);
}

/// Killed by: an early refresh that loads without a look into Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_early_refresh_takes_a_newer_value_from_redis() {
    let fleet = Fleet::start();
    let (first, second) = (fleet.shop().await, fleet.shop().await);
    first.soon(1).await.unwrap();
    assert_eq!(second.soon(1).await.unwrap(), item(1, 1, 0));
    hybridcache::refresh(first.soon(1)).await.unwrap();
    // A load of its own would not end.
    fleet.database.order(1, &[Order::Hold]).await;
    eventually("its refresh takes the newer value", async || second.soon(1).await.unwrap() == item(1, 2, 0)).await;
    assert_eq!(second.cache.stats().stale_hits, 0);
}

/// Killed by: no previous value of what only Redis has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_sees_what_only_redis_has() {
    let fleet = Fleet::start();
    fleet.shop().await.replacing(1).await.unwrap();
    let second = fleet.shop().await;
    let reloaded = hybridcache::refresh(second.replacing(1)).await.unwrap();
    assert_eq!(reloaded, item(1, 2, 1));
    let third = fleet.shop().await;
    eventually("its refresh lands", async || third.replacing(1).await.unwrap() == item(1, 3, 2)).await;
}

/// The process still has the value in memory, as the message of the invalidation is on its way. Redis does not have it.
///
/// Killed by: taking the previous value from memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_process_has_invalidated_is_no_previous_value() {
    for is_reload in [false, true] {
        let fleet = Fleet::start();
        let (network, shop) = shop_behind(&fleet).await;
        let other = fleet.shop().await;
        assert_eq!(shop.replacing(1).await.unwrap(), item(1, 1, 0));
        network.set_for_subscribers(Direction::ToClient, Flow::Hold);
        other.replacing_entry(1).invalidate().await.unwrap();
        if is_reload {
            assert_eq!(hybridcache::refresh(shop.replacing(1)).await.unwrap(), item(1, 2, 0));
        } else {
            eventually("its refresh lands", async || shop.replacing(1).await.unwrap() == item(1, 2, 0)).await;
        }
    }
}

/// Killed by: an error that other processes get.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_is_kept_in_its_own_process() {
    let fleet = Fleet::start();
    let shops = [fleet.shop().await, fleet.shop().await];
    fleet.database.order(1, &[Order::Fail, Order::Fail]).await;
    for shop in &shops {
        for _ in 0..100 {
            shop.kept(1).await.unwrap_err();
        }
    }
    assert_eq!(fleet.database.loads(1).await, 2);
    shops[0].kept_entry(1).invalidate().await.unwrap();
    eventually("the other has forgotten it, too", async || shops[1].kept(1).await.is_ok()).await;
    assert_eq!(shops[0].kept(1).await.unwrap().load, 3);
}

/// Killed by: returning the stale value of Redis at once; callers that joined the look into Redis and do not wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stale_in_redis_waits_for_its_refresh() {
    let fleet = Fleet::start();
    fleet.shop().await.softly(1).await.unwrap();
    age(&fleet, "softly", 61);
    fleet.database.order(1, &[Order::Hold]).await;
    let shop = fleet.shop().await;
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let shop = shop.clone();
            tokio::spawn(async move { shop.softly(1).await.unwrap() })
        })
        .collect();
    fleet.database.begun(1, 2).await;
    assert!(callers.iter().all(|caller| !caller.is_finished()));
    fleet.database.release(1, 2).await;
    for caller in callers {
        assert_eq!(within("a caller gets the new value", caller).await.unwrap(), item(1, 2, 0));
    }
    assert_eq!(fleet.database.loads(1).await, 2);
}

/// Killed by: no previous value where Redis cannot be asked; options that need Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_down_memory_has_the_previous_value() {
    let fleet = Fleet::start();
    let shop = fleet.hasty_shop().await;
    shop.replacing(1).await.unwrap();
    fleet.redis.kill();
    eventually("a refresh lands", async || {
        let found = within("a call while Redis is down", shop.replacing(1)).await.unwrap();
        found.load > 1 && found.version + 1 == found.load
    })
    .await;
}

/// How many entries, or heads of entries, Redis has read.
fn reads(fleet: &Fleet) -> u64 {
    let stats = fleet.redis.info("commandstats");
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_getrange:calls=")?.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}

/// The entry is invalidated after it was read, and before the lease is granted; the message is on its way.
///
/// Killed by: taking what was read for what the lease was granted upon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_invalidated_before_the_lease_is_no_previous_value() {
    let fleet = Fleet::start();
    let (network, shop) = shop_behind(&fleet).await;
    let other = fleet.shop().await;
    assert_eq!(shop.replacing(1).await.unwrap(), item(1, 1, 0));
    let before = reads(&fleet);
    network.set(Direction::ToClient, Flow::Hold);
    let call = tokio::spawn({
        let shop = shop.clone();
        async move { hybridcache::refresh(shop.replacing(1)).await.unwrap() }
    });
    eventually("the entry is read", async || reads(&fleet) > before).await;
    network.set(Direction::ToServer, Flow::Hold);
    network.set(Direction::ToClient, Flow::Pass);
    network.set_for_subscribers(Direction::ToClient, Flow::Hold);
    let asks = |words: &[&[u8]]| words[0].eq_ignore_ascii_case(b"SET");
    eventually("the lease is asked for", async || network.under_way(asks) > 0).await;
    other.replacing_entry(1).invalidate().await.unwrap();
    network.set(Direction::ToServer, Flow::Pass);
    assert_eq!(within("the call", call).await.unwrap(), item(1, 2, 0));
}
