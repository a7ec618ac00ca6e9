//! After a gap in the messages: what memory holds is compared with Redis before it is trusted, when somebody asks for it,
//! and not loaded again.

use std::time::Duration;

use hybridcache::Outage;
use hybridcache_test_support::{Direction, FaultProxy, Flow};

use crate::crossing::Commands;
use crate::fleet::{Fleet, GENEROUS, item};
use crate::invalidation::call;
use crate::recovery::{GAPS, Gap, connected_shop, cut_off, is_connected, is_open, shop_behind};
use crate::waiting::{eventually, within};

/// Killed by: an unverified entry that is read again instead of compared; one that stays unverified after the comparison; a
/// reconnection that leaves entries verified.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_still_there_is_compared_once_and_not_loaded() {
    for gap in GAPS {
        let fleet = Fleet::start();
        let (network, shop) = shop_behind(&fleet).await;
        shop.item(1).await.unwrap();
        shop.offer(1, 2).await.unwrap();
        gap.happen(&fleet, &network, &shop).await;
        let asked = Commands::during(&fleet.redis, async {
            assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0));
        });
        assert_eq!(asked.await, Commands::only("getrange", 1), "{gap:?}");
        let asked = Commands::during(&fleet.redis, async {
            assert_eq!(shop.offer(1, 2).await.unwrap(), item(2, 1, 0));
        });
        let asked = asked.await;
        assert_eq!((asked.of("getrange"), asked.of("mget"), asked.of("get")), (1, 1, 0), "{gap:?} {asked:?}");
        let asked = Commands::during(&fleet.redis, async {
            for _ in 0..100 {
                shop.item(1).await.unwrap();
                shop.offer(1, 2).await.unwrap();
            }
        });
        assert_eq!(asked.await, Commands::none(), "{gap:?}");
        let stats = shop.cache.stats();
        assert_eq!((stats.revalidated, stats.loads, stats.hits_redis), (2, 2, 0), "{gap:?}");
        assert_eq!((fleet.database.loads(1).await, fleet.database.loads(2).await), (1, 1));
    }
}

/// Killed by: a comparison by each caller.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_of_one_suspect_are_one_comparison() {
    let fleet = Fleet::start();
    let (network, shop) = shop_behind(&fleet).await;
    shop.item(1).await.unwrap();
    Gap::Cut.happen(&fleet, &network, &shop).await;
    network.set(Direction::ToClient, Flow::Hold);
    let asked = Commands::during(&fleet.redis, async {
        let callers: Vec<_> = (0..1000).map(|_| call(&shop, 1)).collect();
        eventually("all others join", async || shop.cache.stats().joined == 999).await;
        network.restore();
        for caller in callers {
            assert_eq!(within("a caller", caller).await.unwrap(), item(1, 1, 0));
        }
    });
    assert_eq!(asked.await, Commands::only("getrange", 1));
    assert_eq!(shop.cache.stats().revalidated, 1);
}

/// Killed by: comparing all unverified entries on a reconnection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspects_that_nobody_asks_for_cost_nothing() {
    let fleet = Fleet::start();
    let (network, shop) = shop_behind(&fleet).await;
    for id in 1..=100 {
        shop.item(id).await.unwrap();
    }
    Gap::Cut.happen(&fleet, &network, &shop).await;
    let beats = fleet.redis.command_calls("publish");
    let asked = Commands::during(&fleet.redis, async {
        eventually("two heartbeats pass", async || fleet.redis.command_calls("publish") >= beats + 2).await;
        assert_eq!(shop.item(50).await.unwrap(), item(50, 1, 0));
    });
    let asked = asked.await;
    assert_eq!((asked.of("getrange"), shop.cache.stats().hits_redis), (1, 0), "{asked:?}");
}

/// Each in its own way: gone, another value, marked stale, of a voided tag, evicted by Redis. Killed by: trusting memory
/// over a gap; a comparison that looks at neither fence, nor mark, nor stamps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_changed_in_a_gap_is_not_served_after_it() {
    let fleet = Fleet::start();
    let ((network, shop), other) = (shop_behind(&fleet).await, connected_shop(&fleet).await);
    for id in 1..=4 {
        shop.item(id).await.unwrap();
    }
    shop.offer(1, 5).await.unwrap();
    shop.offer(2, 6).await.unwrap();
    cut_off(&network);
    for id in 1..=6 {
        fleet.database.set_version(id, 1).await;
    }
    other.item_entry(1).invalidate().await.unwrap();
    other.item_entry(2).put(item(2, 0, 9)).await.unwrap();
    other.item_entry(3).expire().await.unwrap();
    fleet.redis.command(&[b"DEL", fleet.entry_key("item", 4).as_bytes()]);
    other.cache.invalidate_tag("shelf:1").await.unwrap();
    assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0), "nobody can know");
    network.restore();
    is_connected(&shop).await;
    assert_eq!(shop.item(1).await.unwrap(), item(1, 2, 1));
    assert_eq!(shop.item(2).await.unwrap(), item(2, 0, 9));
    assert_eq!(shop.item(3).await.unwrap(), item(3, 1, 0), "stale, and returned at once");
    fleet.database.begun(3, 2).await;
    eventually("it is refreshed", async || shop.item(3).await.unwrap() == item(3, 2, 1)).await;
    assert_eq!(shop.item(4).await.unwrap(), item(4, 2, 1));
    assert_eq!(shop.offer(1, 5).await.unwrap(), item(5, 2, 1));
    assert_eq!(shop.offer(2, 6).await.unwrap(), item(6, 1, 0), "another shelf");
    assert_eq!(fleet.database.loads(3).await, 2);
    assert_eq!(shop.cache.stats().revalidated, 2, "the marked one and the other shelf's");
}

/// Killed by: the same, for the whole function and the whole namespace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_that_others_voided_in_a_gap_are_not_served_after_it() {
    for namespace in [false, true] {
        let fleet = Fleet::start();
        let ((network, shop), other) = (shop_behind(&fleet).await, connected_shop(&fleet).await);
        shop.offer(1, 1).await.unwrap();
        cut_off(&network);
        fleet.database.set_version(1, 1).await;
        match namespace {
            false => other.cache.invalidate_function("offer").await.unwrap(),
            true => other.cache.clear().await.unwrap(),
        }
        network.restore();
        is_connected(&shop).await;
        assert_eq!(shop.offer(1, 1).await.unwrap(), item(1, 2, 1));
    }
}

/// Killed by: a load without a lease where the comparison fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_without_data_each_key_is_loaded_once_in_the_fleet() {
    let fleet = Fleet::start();
    let shops = [connected_shop(&fleet).await, connected_shop(&fleet).await, connected_shop(&fleet).await];
    for shop in &shops {
        for id in 1..=20 {
            shop.item(id).await.unwrap();
        }
    }
    fleet.redis.restart();
    for shop in &shops {
        is_connected(shop).await;
    }
    let callers: Vec<_> =
        (0..5).flat_map(|_| 1..=20).flat_map(|id| shops.each_ref().map(|shop| call(shop, id))).collect();
    for caller in callers {
        assert_eq!(within("a caller", caller).await.unwrap().load, 2);
    }
    for id in 1..=20 {
        assert_eq!(fleet.database.loads(id).await, 2, "item {id}");
    }
    fleet.leaves_no_trace().await;
}

/// Redis is gone again before anybody has asked for an unverified entry. Killed by: `Outage::Serve` that loads unverified entries;
/// `Outage::Strict` that serves them; an answer that was not given taken for proof.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspects_are_served_in_an_outage_unless_strict() {
    for outage in [Outage::Serve, Outage::Strict] {
        let fleet = Fleet::start();
        let network = FaultProxy::start(fleet.redis.port());
        let shop = fleet.shop_at(&network.url(), |builder| builder.redis_budget(GENEROUS).outage(outage)).await;
        is_connected(&shop).await;
        for id in [1, 2] {
            shop.item(id).await.unwrap();
        }
        Gap::Cut.happen(&fleet, &network, &shop).await;
        cut_off(&network);
        let is_strict = outage == Outage::Strict;
        let got = within("a look", shop.item_entry(2).get()).await;
        assert_eq!(got, (!is_strict).then(|| item(2, 1, 0)), "{outage:?}");
        // The breaker opens on the way.
        for _ in 0..20 {
            let found = within("a call", shop.item(1)).await.unwrap();
            assert_eq!(found, item(1, if is_strict { 2 } else { 1 }, 0), "{outage:?}");
        }
        for id in 50..60 {
            within("a cold call", shop.item(id)).await.unwrap();
        }
        assert!(is_open(&shop));
        let errors = shop.cache.stats().redis_errors;
        let found = within("a call", shop.item(2)).await.unwrap();
        assert_eq!(found, item(2, if is_strict { 2 } else { 1 }, 0), "{outage:?}");
        if !is_strict {
            assert_eq!(shop.cache.stats().redis_errors, errors, "nobody tried to ask");
        }
        network.restore();
        is_connected(&shop).await;
        let before = shop.cache.stats();
        let asked = Commands::during(&fleet.redis, async {
            assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0), "what Redis has");
            assert_eq!(shop.item(2).await.unwrap(), item(2, 1, 0));
        });
        assert_eq!(asked.await.of("getrange"), 2, "{outage:?}");
        // What was loaded in the outage is not in Redis and has nothing to compare.
        let (compared, read) = if is_strict { (0, 2) } else { (2, 0) };
        let now = shop.cache.stats();
        let done = (now.revalidated - before.revalidated, now.hits_redis - before.hits_redis);
        assert_eq!(done, (compared, read), "{outage:?}");
    }
}

/// Redis is silent for a moment, on the connection that it answers on later. Killed by: trusting what was served because
/// nobody could be asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_compared_is_compared_later() {
    let fleet = Fleet::start();
    let network = FaultProxy::start(fleet.redis.port());
    let budget = Duration::from_millis(400);
    let shop = fleet.shop_at(&network.url(), |builder| builder.redis_budget(budget)).await;
    is_connected(&shop).await;
    shop.item(1).await.unwrap();
    assert!(fleet.has_entry("item", 1));
    Gap::Cut.happen(&fleet, &network, &shop).await;
    network.set(Direction::ToClient, Flow::Hold);
    assert_eq!(within("a call", shop.item(1)).await.unwrap(), item(1, 1, 0));
    network.restore();
    is_connected(&shop).await;
    let asked = Commands::during(&fleet.redis, async {
        assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0));
    });
    assert_eq!(asked.await, Commands::only("getrange", 1));
}
