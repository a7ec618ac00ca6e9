//! Who loads, who waits, and what is left of it.

use std::time::Duration;

use hybridcache::refresh;
use hybridcache_test_support::{Direction, FaultProxy, Flow, Reply};

use crate::crossing::Commands;
use crate::database::Order;
use crate::fleet::{Fleet, GENEROUS, item};
use crate::invalidation::{call, hold_load, hold_outdated_load};
use crate::recovery::{connected_shop, is_connected, shop_behind};
use crate::waiting::{eventually, within};

/// The first load outlives the lease's 3 s, so that it has to be renewed. After the invalidation there is a new
/// generation: another load runs beside the outdated one, again only one. Killed by: an `acquire.lua` that grants always;
/// a lease that is not renewed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i01_one_live_lease_holder_per_key_and_generation() {
    let fleet = Fleet::start();
    let (holder, processes) = (connected_shop(&fleet).await, fleet.processes(3));
    let outdated = hold_outdated_load(&fleet, &holder).await;
    fleet.database.order(1, &[Order::Hold]).await;
    let waiters: Vec<_> = processes.iter().flat_map(|process| [process.item(1), process.item(1)]).collect();
    fleet.waiting(3).await;
    eventually("the lease is renewed beyond its first end", async || Commands::so_far(&fleet.redis).renewals() >= 4)
        .await;
    assert_eq!(fleet.database.loads(1).await, 1);
    holder.item_entry(1).invalidate().await.unwrap();
    fleet.database.begun(1, 2).await;
    fleet.waiting(2).await;
    assert_eq!(fleet.database.loads(1).await, 2, "one of the waiters");
    fleet.database.release(1, 2).await;
    for waiter in waiters {
        assert_eq!(waiter.await, item(1, 2, 1));
    }
    fleet.database.release(1, 1).await;
    within("the outdated call", outdated).await.unwrap();
    assert_eq!(fleet.database.loads(1).await, 2);
}

/// The lease goes to somebody else, or to nobody. Killed by: a `publish.lua` that does not compare the token; one that
/// takes the stage of a lost lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i03_a_publish_with_a_lost_token_changes_nothing() {
    for somebody_loads in [false, true] {
        let fleet = Fleet::start();
        let (late, other) = (connected_shop(&fleet).await, connected_shop(&fleet).await);
        let outdated = hold_outdated_load(&fleet, &late).await;
        fleet.redis.command(&[b"DEL", fleet.redis.keys("*:l")[0].as_bytes()]);
        if somebody_loads {
            assert_eq!(within("another load", other.item(1)).await.unwrap(), item(1, 2, 1));
        }
        let before = dump(&fleet);
        fleet.database.release(1, 1).await;
        assert_eq!(within("the late call", outdated).await.unwrap(), item(1, 1, 0));
        assert_eq!(late.cache.stats().fenced_publishes, 1);
        assert_eq!(dump(&fleet), before);
        assert_eq!(late.item_entry(1).get().await, somebody_loads.then(|| item(1, 2, 1)), "memory neither");
    }
}

/// All keys and what stands there.
fn dump(fleet: &Fleet) -> Vec<(String, Reply)> {
    let keys = fleet.redis.keys("*");
    keys.into_iter().map(|key| (key.clone(), fleet.redis.command(&[b"DUMP", key.as_bytes()]))).collect()
}

/// Nobody ends the lease. Killed by: a waiter that waits for a message or the lease's end only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i04_no_waiter_sleeps_past_its_budget() {
    let fleet = Fleet::start();
    let (holder, waiter) = (connected_shop(&fleet).await, connected_shop(&fleet).await);
    fleet.database.order(1, &[Order::Hold]).await;
    let held = tokio::spawn({
        let holder = holder.clone();
        async move { holder.patient(1).await.unwrap() }
    });
    fleet.database.begun(1, 1).await;
    // No message, and no end of the lease, would come in time.
    fleet.prolong_lease();
    let callers: Vec<_> = (0..10)
        .map(|_| {
            let waiter = waiter.clone();
            tokio::spawn(async move { waiter.timed(1).await.unwrap() })
        })
        .collect();
    for caller in callers {
        // Its timeout is 1 s, and the limit of this wait less than the 30 s of a function without.
        assert!(within("a waiter", caller).await.unwrap().load > 1);
    }
    fleet.database.release(1, 1).await;
    assert_eq!(within("the holder", held).await.unwrap(), item(1, 1, 0));
}

/// The wake-up overtakes the answer that tells the waiter to wait. Killed by: registering after the answer; a publish that
/// wakes nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i04_no_wake_up_is_lost() {
    let fleet = Fleet::start();
    let holder = connected_shop(&fleet).await;
    let network = FaultProxy::start(fleet.redis.port());
    let waiter = fleet.shop_at(&network.url(), |builder| builder.redis_budget(GENEROUS)).await;
    is_connected(&waiter).await;
    network.set(Direction::ToClient, Flow::Delay(Duration::from_millis(500)));
    network.set_for_subscribers(Direction::ToClient, Flow::Pass);
    for id in 1..=3 {
        let held = hold_load(&fleet, &holder, id).await;
        let waiting = call(&waiter, id);
        eventually("it is told to wait, for long", async || {
            fleet.prolong_lease();
            let lease = fleet.redis.keys("*:l");
            fleet.redis.command(&[b"STRLEN", lease[0].as_bytes()]) == Reply::Integer(32 + 16)
        })
        .await;
        fleet.database.release(id, 1).await;
        assert_eq!(within("the holder", held).await.unwrap(), item(id, 1, 0));
        assert_eq!(within("the waiter", waiting).await.unwrap(), item(id, 1, 0));
        assert_eq!(fleet.database.loads(id).await, 1);
    }
}

/// Each round makes the entry stale everywhere. Killed by: a refresh without a lease; an `acquire.lua` that does not
/// compare the fence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i05_one_refresh_per_stale_period_in_the_fleet() {
    let fleet = Fleet::start();
    let shops = [
        connected_shop(&fleet).await,
        connected_shop(&fleet).await,
        connected_shop(&fleet).await,
        connected_shop(&fleet).await,
    ];
    for shop in &shops {
        shop.item(1).await.unwrap();
    }
    for load in 2..=20 {
        shops[load as usize % 4].item_entry(1).expire().await.unwrap();
        eventually("all have the next load", async || {
            let callers: Vec<_> = (0..5).flat_map(|_| shops.each_ref().map(|shop| call(shop, 1))).collect();
            let mut have = true;
            for caller in callers {
                have &= within("a caller", caller).await.unwrap().load >= load;
            }
            have
        })
        .await;
        assert_eq!(fleet.database.loads(1).await, load);
    }
}

/// One that has read the stale entry, and asks for the lease when another process's refresh is over. Killed by: an
/// `acquire.lua` that does not compare the fence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i05_a_refresh_that_comes_late_adopts() {
    let fleet = Fleet::start();
    let ((network, late), other) = (shop_behind(&fleet).await, connected_shop(&fleet).await);
    for shop in [&late, &other] {
        assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0));
    }
    network.set(Direction::ToClient, Flow::Hold);
    network.set_for_subscribers(Direction::ToClient, Flow::Pass);
    fleet.database.order(1, &[Order::Hold]).await;
    other.item_entry(1).expire().await.unwrap();
    let asked = Commands::so_far(&fleet.redis).of("getrange");
    eventually("the late one has asked", async || {
        assert_eq!(late.item(1).await.unwrap(), item(1, 1, 0));
        Commands::so_far(&fleet.redis).of("getrange") > asked
    })
    .await;
    other.item(1).await.unwrap();
    fleet.database.begun(1, 2).await;
    fleet.database.release(1, 2).await;
    eventually("it is refreshed", async || other.item(1).await.unwrap() == item(1, 2, 0)).await;
    network.restore();
    eventually("the late one has it, too", async || late.item(1).await.unwrap() == item(1, 2, 0)).await;
    assert_eq!(fleet.database.loads(1).await, 2);
}

/// Every way a load or its caller can end, over a healthy Redis, a lost connection and a refusing server. Killed by: a
/// lease that is not released on an error; a stage without a lifetime; a task that waits for ever.
#[test]
fn i11_nothing_leaks() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let fleet = Fleet::start();
        let (shop, other) = (connected_shop(&fleet).await, connected_shop(&fleet).await);
        shop.item(100).await.unwrap();
        other.item(100).await.unwrap();
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        fleet.database.order(1, &[Order::Fail]).await;
        fleet.database.order(2, &[Order::Panic]).await;
        fleet.database.order(3, &[Order::Hold]).await;
        fleet.database.order(4, &[Order::Take(Duration::from_millis(1_100))]).await;
        fleet.database.order(5, &[Order::Take(Duration::from_millis(50))]).await;
        assert!(shop.item(1).await.is_err());
        assert!(call(&shop, 2).await.unwrap_err().is_panic());
        let invalidated = call(&shop, 3);
        fleet.database.begun(3, 1).await;
        let waiting = call(&other, 3);
        fleet.waiting(1).await;
        other.item_entry(3).invalidate().await.unwrap();
        within("who waited", waiting).await.unwrap();
        fleet.database.release(3, 1).await;
        within("the invalidated call", invalidated).await.unwrap();
        assert!(shop.timed(4).await.is_err());
        call(&shop, 5).abort();
        shop.item(6).await.unwrap();
        shop.item_entry(6).put(item(6, 0, 9)).await.unwrap();
        refresh(other.item(6)).await.unwrap();
        assert!(shop.draft(7).await.is_ok());
        fleet.redis.config_set("maxmemory", "1");
        shop.item(8).await.unwrap();
        fleet.redis.config_set("maxmemory", "0");
        eventually("no task is left", async || tokio::runtime::Handle::current().metrics().num_alive_tasks() <= tasks)
            .await;
        fleet.leaves_at_most_marks().await;
        // What a process leaves that dies between the staging and the publishing ends by itself.
        let stages = fleet.redis.keys("*:s:*");
        assert!(stages.is_empty(), "{stages:?}");
    });
}

/// A holder that dies leaves a lease of 3 s at most. Killed by: a lease without a lifetime.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i11_no_lease_outlives_its_time() {
    let fleet = Fleet::start();
    let mut holder = fleet.process();
    fleet.database.order(1, &[Order::Hold]).await;
    let _lost = holder.item(1);
    fleet.database.begun(1, 1).await;
    holder.kill();
    let left = fleet.redis.command(&[b"PTTL", fleet.redis.keys("*:l")[0].as_bytes()]);
    assert!(matches!(left, Reply::Integer(0..=3_000)), "{left:?}");
    eventually("it ends", async || fleet.redis.keys("*:l").is_empty()).await;
}
