//! Large values on a network that takes longer for them than the budget lasts, and the default limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use hybridcache::BreakerState;
use hybridcache_test_support::{Direction, FaultProxy, Flow};

use crate::fleet::{Fleet, GENEROUS};
use crate::shop::Shop;
use crate::waiting::{eventually, within};

const LARGE: u64 = 7 << 20;

/// As 1 Gbit/s and 50 ms, but twenty times as slow, for a machine that is busy: 7 MiB take 1.05 s.
const RATE: u64 = 7_000_000;
const BUDGET: Duration = Duration::from_millis(900);

async fn shop_behind(fleet: &Fleet, network: &FaultProxy, budget: Duration) -> Shop {
    fleet.shop_at(&network.url(), |builder| builder.redis_budget(budget).value_limit(8 << 20)).await
}

fn slow_down(network: &FaultProxy, rate: u64) {
    network.set(Direction::ToServer, Flow::Rate(rate));
    network.set(Direction::ToClient, Flow::Rate(rate));
}

/// Killed by: one connection for all sizes; one time limit for all sizes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_values_hold_up_no_small_ones() {
    let fleet = Fleet::start();
    fleet.database.set_version(1, LARGE).await;
    let networks = [FaultProxy::start(fleet.redis.port()), FaultProxy::start(fleet.redis.port())];
    let shops = [shop_behind(&fleet, &networks[0], BUDGET).await, shop_behind(&fleet, &networks[1], BUDGET).await];
    networks.iter().for_each(|network| slow_down(network, RATE));
    let (busy, small) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(100)));
    let callers: Vec<_> = (0..16)
        .map(|place| {
            let (shop, busy, small) = (shops[place % 2].clone(), busy.clone(), small.clone());
            tokio::spawn(async move {
                while busy.load(SeqCst) {
                    shop.item(small.fetch_add(1, SeqCst)).await.unwrap();
                    // Leaves some of the two cores to the large ones.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            })
        })
        .collect();
    assert_eq!(within("a load", shops[0].text(1)).await.len() as u64, LARGE);
    eventually("it is stored", async || fleet.has_entry("text", 1)).await;
    // A process that has not read a large value before. On a machine that is too busy it does not get the value in time: then another one.
    eventually("another process reads it", async || {
        shop_behind(&fleet, &networks[1], BUDGET).await.text_entry(1).get().await.is_some()
    })
    .await;
    busy.store(false, SeqCst);
    for caller in callers {
        within("a small call", caller).await.unwrap();
    }
    for shop in &shops {
        let (all, small) = (shop.cache.stats(), shop.cache.function_stats("item"));
        assert_eq!((all.breaker, all.breaker_opened), (BreakerState::Closed, 0), "{all:?}");
        assert_eq!((small.redis_errors, small.degraded_loads), (0, 0), "{small:?}");
    }
    assert_eq!(fleet.database.loads(1).await, 1);
}

/// The bytes take longer than a lease lives, and longer than any caller waits. Killed by: a lease that is not renewed while its value
/// is sent; a value that is given up with its caller.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_sent_for_longer_than_a_lease_lives_is_stored() {
    let fleet = Fleet::start();
    fleet.database.set_version(1, LARGE).await;
    let network = FaultProxy::start(fleet.redis.port());
    let shop = shop_behind(&fleet, &network, BUDGET).await;
    slow_down(&network, 2_000_000);
    assert_eq!(within("a load", shop.text(1)).await.len() as u64, LARGE);
    eventually("it is stored", async || fleet.has_entry("text", 1)).await;
    eventually("the lease has ended", async || fleet.redis.keys("*:l").is_empty()).await;
    let stats = shop.cache.stats();
    assert_eq!((stats.breaker, stats.breaker_opened), (BreakerState::Closed, 0), "{stats:?}");
    let other = fleet.shop().await;
    assert_eq!(other.text(1).await.len() as u64, LARGE);
    assert_eq!(fleet.database.loads(1).await, 1);
}

/// A caller that has given its budget gets a value for which the network needs more than a second. Killed by: a bound on all answers
/// that does not depend on their size.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_may_take_longer_than_any_small_answer() {
    let fleet = Fleet::start();
    fleet.database.set_version(1, LARGE).await;
    let network = FaultProxy::start(fleet.redis.port());
    let (shop, other) = (shop_behind(&fleet, &network, GENEROUS).await, shop_behind(&fleet, &network, GENEROUS).await);
    slow_down(&network, 5_000_000);
    assert_eq!(within("a load", shop.text(1)).await.len() as u64, LARGE);
    assert!(fleet.has_entry("text", 1));
    assert_eq!(within("a reading", other.text_entry(1).get()).await.map(|text| text.len() as u64), Some(LARGE));
    shop.text_entry(1).put("x".repeat(LARGE as usize)).await.unwrap();
    assert!(fleet.has_entry("text", 1));
}

/// The limit fits the budget where nobody has set either: 1 MiB takes 9 ms at 1 Gbit/s. Killed by: a larger one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_default_values_up_to_a_mebibyte_are_shared() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    for (id, length, is_shared) in [(1, 1_000_000, true), (2, (1 << 20) + 1, false)] {
        fleet.database.set_version(id, length).await;
        assert_eq!(shop.text(id).await.len() as u64, length);
        assert_eq!(fleet.has_entry("text", id), is_shared, "{length}");
        assert_eq!(fleet.shop().await.text(id).await.len() as u64, length);
        assert_eq!(fleet.database.loads(id).await, if is_shared { 1 } else { 2 });
    }
}
