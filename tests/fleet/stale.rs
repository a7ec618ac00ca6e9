//! Stale entries: returned at once, refreshed once.

use crate::crossing::Commands;
use crate::database::Order;
use crate::envelope::{FRESH_UNTIL, with_time};
use crate::fleet::{Fleet, item};
use crate::waiting::{eventually, within};

/// Stores load 1 of item 1 in Redis, stale since a second.
async fn stale_in_redis() -> Fleet {
    let fleet = Fleet::start();
    fleet.shop().await.item(1).await.unwrap();
    make_stale(&fleet, "item");
    fleet
}

fn make_stale(fleet: &Fleet, function: &str) {
    let entry = fleet.entry(function, 1);
    let loaded_at = with_time(&entry, crate::envelope::LOADED_AT, fleet.now() - 2_000);
    fleet.set_entry(function, 1, &with_time(&loaded_at, FRESH_UNTIL, fleet.now() - 1_000));
}

/// A caller who looks into memory just before the stale value gets there must not end up waiting for the refresh, and must
/// not keep it from beginning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_the_refresh_of_a_stale_value() {
    let fleet = stale_in_redis().await;
    for load in 2..=40 {
        fleet.database.order(1, &[Order::Hold]).await;
        let shop = fleet.shop().await;
        let callers: Vec<_> = (0..200)
            .map(|_| {
                let shop = shop.clone();
                tokio::spawn(async move { shop.item(1).await.unwrap() })
            })
            .collect();
        for caller in callers {
            let found = within("a caller gets the stale value", caller).await.unwrap();
            assert_eq!(found, item(1, load - 1, 0));
        }
        fleet.database.begun(1, load).await;
        fleet.database.release(1, load).await;
        eventually("the refresh lands", async || shop.item(1).await.unwrap() == item(1, load, 0)).await;
        make_stale(&fleet, "item");
    }
}

/// Killed by: waiting for the refresh.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stale_in_redis_is_returned_at_once_and_refreshed_once() {
    let fleet = stale_in_redis().await;
    fleet.database.order(1, &[Order::Hold]).await;
    let shop = fleet.shop().await;
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let shop = shop.clone();
            tokio::spawn(async move { shop.item(1).await.unwrap() })
        })
        .collect();
    for caller in callers {
        assert_eq!(within("a caller gets the stale value", caller).await.unwrap(), item(1, 1, 0));
    }
    fleet.database.begun(1, 2).await;
    assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0), "the refresh is still held");
    fleet.database.release(1, 2).await;
    eventually("the refresh lands", async || shop.item(1).await.unwrap() == item(1, 2, 0)).await;
    fleet.leaves_no_trace().await;
    assert_eq!(fleet.database.loads(1).await, 2);
    assert_eq!(fleet.in_redis(1).await, Some(item(1, 2, 0)));
    let stats = shop.cache.stats();
    assert_eq!((stats.refreshes, stats.loads, stats.misses), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stale_in_redis_costs_one_round_trip_before_it_is_returned() {
    let fleet = stale_in_redis().await;
    fleet.database.order(1, &[Order::Hold]).await;
    let shop = fleet.shop().await;
    shop.item(2).await.unwrap();
    let asked = Commands::during(&fleet.redis, async {
        shop.item(1).await.unwrap();
        fleet.database.begun(1, 2).await;
    });
    let asked = asked.await;
    // One for the caller, one of the refresh, one behind the lease that it takes.
    assert_eq!(asked.of("getrange"), 3);
    assert_eq!(asked.of("evalsha") - asked.renewals(), 0);
    fleet.database.release(1, 2).await;
}

/// Killed by: a refresh that does not look in Redis first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_adopts_what_another_process_has_loaded() {
    let fleet = stale_in_redis().await;
    fleet.database.order(1, &[Order::Hold]).await;
    let (first, second) = (fleet.shop().await, fleet.shop().await);
    // Both hold the stale value; the first refreshes.
    assert_eq!(first.item(1).await.unwrap(), item(1, 1, 0));
    fleet.database.begun(1, 2).await;
    assert_eq!(second.item(1).await.unwrap(), item(1, 1, 0));
    fleet.waiting(1).await;
    fleet.database.release(1, 2).await;
    for shop in [&first, &second] {
        eventually("it has the new value", async || shop.item(1).await.unwrap() == item(1, 2, 0)).await;
    }
    assert_eq!(fleet.database.loads(1).await, 2);
    assert_eq!(second.cache.stats().loads, 0);
}

/// Each round marks the entry stale everywhere while four processes call it all the time. Killed by: a refresh without a
/// lease; an `acquire` that does not compare the fence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_loads_once_each_time_an_entry_is_made_stale() {
    let fleet = Fleet::start();
    let processes = fleet.processes(4);
    let expirer = fleet.shop().await;
    for process in &processes {
        process.ask("hammer item 1 4").await;
    }
    let all_have = async |load: u64| {
        let mut all = true;
        for process in &processes {
            all &= process.ask("newest").await == load.to_string();
        }
        all
    };
    eventually("all have load 1", async || all_have(1).await).await;
    for round in 2..=15 {
        expirer.item_entry(1).expire().await.unwrap();
        eventually("all have the next load", async || all_have(round).await).await;
        assert_eq!(fleet.database.loads(1).await, round);
    }
    for process in &processes {
        process.ask("rest").await;
    }
    assert_eq!(fleet.database.loads(1).await, 15);
}

/// The loads of `Shop::brief`, which is fresh for 400 ms, seen from the database. Killed by: the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_loads_once_in_each_stale_period() {
    let fleet = Fleet::start();
    let processes = fleet.processes(4);
    for process in &processes {
        process.ask("hammer brief 1 4").await;
    }
    fleet.database.begun(1, 7).await;
    for process in &processes {
        process.ask("rest").await;
    }
    let beginnings = fleet.database.beginnings(1).await;
    for pair in beginnings.windows(2) {
        // Two loads for one period would be a few ms apart. The half leaves room for the error of clocks.
        assert!(pair[1] - pair[0] >= 200, "{beginnings:?}");
    }
}

/// Killed by: no pause after a failure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_refresh_leaves_the_stale_value_and_pauses() {
    for failure in [Order::Fail, Order::Panic] {
        let fleet = stale_in_redis().await;
        fleet.database.order(1, &[failure; 3]).await;
        let shop = fleet.shop().await;
        eventually("refreshes fail twice", async || {
            assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0));
            fleet.database.loads(1).await == 3
        })
        .await;
        let beginnings = fleet.database.beginnings(1).await;
        assert!(beginnings[2] - beginnings[1] >= 700, "one second, less a quarter at random: {beginnings:?}");
        assert!(fleet.has_entry("item", 1));
        fleet.leaves_at_most_marks().await;
        assert!(shop.cache.stats().load_errors >= 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stale_in_memory_is_returned_while_redis_is_down() {
    let fleet = stale_in_redis().await;
    let shop = fleet.hasty_shop().await;
    fleet.database.order(1, &[Order::Hold]).await;
    // On a busy machine even one command can outlast the budget: then this is load 2 and held.
    let first = tokio::spawn({
        let shop = shop.clone();
        async move { shop.item(1).await.unwrap() }
    });
    fleet.database.begun(1, 2).await;
    fleet.redis.kill();
    fleet.database.release(1, 2).await;
    within("the first call", first).await.unwrap();
    eventually("the refresh lands in memory", async || {
        within("a call while Redis is down", shop.item(1)).await.unwrap().load == 2
    })
    .await;
    assert_eq!(fleet.database.loads(1).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_expired_by_hand_is_stale_in_both_tiers() {
    let fleet = Fleet::start();
    let (first, second) = (fleet.shop().await, fleet.shop().await);
    first.item(1).await.unwrap();
    fleet.database.order(1, &[Order::Hold]).await;
    first.item_entry(1).expire().await.unwrap();
    assert_eq!(first.item(1).await.unwrap(), item(1, 1, 0));
    fleet.database.begun(1, 2).await;
    assert_eq!(second.item(1).await.unwrap(), item(1, 1, 0), "stale in Redis, and somebody refreshes already");
    fleet.waiting(1).await;
    fleet.database.release(1, 2).await;
    for shop in [&first, &second] {
        eventually("the refresh lands", async || shop.item(1).await.unwrap() == item(1, 2, 0)).await;
    }
    assert_eq!(fleet.database.loads(1).await, 2);
}
