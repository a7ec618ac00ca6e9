//! What was loaded before an invalidation is never seen by a call that begins after it, in no tier, in no process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use hybridcache::refresh;
use tokio::task::JoinHandle;

use crate::database::{Item, Order};
use crate::fleet::{Fleet, item};
use crate::shop::Shop;
use crate::waiting::{eventually, within};

pub(crate) fn call(shop: &Shop, id: u64) -> JoinHandle<Item> {
    let shop = shop.clone();
    tokio::spawn(async move { shop.item(id).await.unwrap() })
}

/// A call whose load, the first of its id, has begun: it waits until the test releases it.
pub(crate) async fn hold_load(fleet: &Fleet, shop: &Shop, id: u64) -> JoinHandle<Item> {
    fleet.database.order(id, &[Order::Hold]).await;
    let call = call(shop, id);
    fleet.database.begun(id, 1).await;
    call
}

/// The same of item 1: the load sees version 0. From then on the version is 1.
pub(crate) async fn hold_outdated_load(fleet: &Fleet, shop: &Shop) -> JoinHandle<Item> {
    let outdated = hold_load(fleet, shop, 1).await;
    fleet.database.set_version(1, 1).await;
    outdated
}

/// Killed by: a flight that stays joinable when its key is invalidated.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_during_a_load_of_the_same_process() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    let outdated = hold_outdated_load(&fleet, &shop).await;
    shop.item_entry(1).invalidate().await.unwrap();
    assert_eq!(within("a call after the invalidation", shop.item(1)).await.unwrap(), item(1, 2, 1));
    fleet.database.release(1, 1).await;
    assert_eq!(within("the outdated call", outdated).await.unwrap(), item(1, 1, 0));
    assert_eq!(shop.item(1).await.unwrap(), item(1, 2, 1));
    assert_eq!(fleet.in_redis(1).await, Some(item(1, 2, 1)));
    assert_eq!(fleet.database.loads(1).await, 2);
    fleet.leaves_no_trace().await;
    assert_eq!(shop.cache.stats().fenced_publishes, 1);
}

/// The same when nobody calls before the outdated load has landed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_was_invalidated_stores_nothing() {
    let fleet = Fleet::start();
    let (shop, other) = (fleet.shop().await, fleet.shop().await);
    let outdated = hold_outdated_load(&fleet, &shop).await;
    shop.item_entry(1).invalidate().await.unwrap();
    fleet.database.release(1, 1).await;
    within("the outdated call", outdated).await.unwrap();
    assert!(!fleet.has_entry("item", 1));
    assert_eq!(shop.item_entry(1).get().await, None);
    assert_eq!(other.item(1).await.unwrap(), item(1, 2, 1));
    assert_eq!(shop.item(1).await.unwrap(), item(1, 2, 1));
}

/// The new call joins the outdated load if the message has not come yet; either way it must not get its value. Killed by:
/// an `invalidate.lua` that keeps the lease; a fenced result handed to those who joined after the load began.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_by_another_process_during_a_load() {
    for _ in 0..10 {
        let fleet = Fleet::start();
        let (shop, other) = (fleet.shop().await, fleet.shop().await);
        let outdated = hold_outdated_load(&fleet, &shop).await;
        other.item_entry(1).invalidate().await.unwrap();
        let after = call(&shop, 1);
        fleet.database.release(1, 1).await;
        assert_eq!(within("the outdated call", outdated).await.unwrap(), item(1, 1, 0));
        assert_eq!(within("a call after the invalidation", after).await.unwrap(), item(1, 2, 1));
        assert_eq!(shop.item(1).await.unwrap(), item(1, 2, 1));
        assert_eq!(other.item(1).await.unwrap(), item(1, 2, 1));
        assert_eq!(fleet.database.loads(1).await, 2);
    }
}

/// Killed by: messages that are ignored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_processes_drop_what_they_hold_in_memory() {
    let fleet = Fleet::start();
    let processes = fleet.processes(3);
    for process in &processes {
        assert_eq!(process.item(1).await, item(1, 1, 0));
    }
    fleet.database.set_version(1, 1).await;
    assert_eq!(processes[0].ask("invalidate 1").await, "done");
    assert_eq!(processes[0].item(1).await, item(1, 2, 1));
    for process in &processes {
        eventually("the message arrives", async || process.item(1).await == item(1, 2, 1)).await;
    }
    assert_eq!(fleet.database.loads(1).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_reaches_all_tiers_and_processes() {
    let fleet = Fleet::start();
    let processes = fleet.processes(2);
    for process in &processes {
        assert_eq!(process.item(1).await, item(1, 1, 0));
    }
    assert_eq!(processes[0].ask("put 1 9").await, "done");
    assert_eq!(processes[0].item(1).await, item(1, 0, 9));
    eventually("the message arrives", async || processes[1].item(1).await == item(1, 0, 9)).await;
    assert_eq!(fleet.in_redis(1).await, Some(item(1, 0, 9)));
    assert_eq!(fleet.database.loads(1).await, 1);
    fleet.leaves_no_trace().await;
}

/// Killed by: a put that leaves the lease to the load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_during_a_load_stays() {
    for by_other in [false, true] {
        let fleet = Fleet::start();
        let (shop, other) = (fleet.shop().await, fleet.shop().await);
        let outdated = hold_outdated_load(&fleet, &shop).await;
        let putter = if by_other { &other } else { &shop };
        putter.item_entry(1).put(item(1, 0, 9)).await.unwrap();
        let after = call(&shop, 1);
        fleet.database.release(1, 1).await;
        within("the outdated call", outdated).await.unwrap();
        assert_eq!(within("a call after the put", after).await.unwrap(), item(1, 0, 9));
        assert_eq!(shop.item(1).await.unwrap(), item(1, 0, 9));
        assert_eq!(other.item(1).await.unwrap(), item(1, 0, 9));
        assert_eq!(fleet.in_redis(1).await, Some(item(1, 0, 9)));
        assert_eq!(fleet.database.loads(1).await, 1);
        fleet.leaves_no_trace().await;
    }
}

/// A process that waits for a load elsewhere gets what was put, and does not load. Killed by: a put that wakes nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_answers_the_waiters_of_a_load() {
    let fleet = Fleet::start();
    let (shop, waiter) = (fleet.shop().await, fleet.process());
    let outdated = hold_outdated_load(&fleet, &shop).await;
    fleet.prolong_lease();
    let waiting = waiter.item(1);
    fleet.waiting(1).await;
    shop.item_entry(1).put(item(1, 0, 9)).await.unwrap();
    assert_eq!(waiting.await, item(1, 0, 9));
    fleet.database.release(1, 1).await;
    within("the outdated call", outdated).await.unwrap();
    assert_eq!(fleet.database.loads(1).await, 1);
}

/// Killed by: an invalidation that wakes nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiter_loads_at_once_when_its_key_is_invalidated() {
    let fleet = Fleet::start();
    let (shop, waiter) = (fleet.shop().await, fleet.process());
    let outdated = hold_outdated_load(&fleet, &shop).await;
    fleet.prolong_lease();
    let waiting = waiter.item(1);
    fleet.waiting(1).await;
    shop.item_entry(1).invalidate().await.unwrap();
    assert_eq!(waiting.await, item(1, 2, 1));
    fleet.database.release(1, 1).await;
    within("the outdated call", outdated).await.unwrap();
    assert_eq!(fleet.in_redis(1).await, Some(item(1, 2, 1)));
    fleet.leaves_no_trace().await;
}

/// `refresh` waits for no load that began before it, and the older load does not overwrite its result. Killed by: a refresh
/// that joins; one that leaves the older load its lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_overtakes_an_older_load_of_another_process() {
    let fleet = Fleet::start();
    let (shop, other) = (fleet.shop().await, fleet.shop().await);
    let outdated = hold_outdated_load(&fleet, &shop).await;
    assert_eq!(within("the refresh", refresh(other.item(1))).await.unwrap(), item(1, 2, 1));
    fleet.database.release(1, 1).await;
    within("the outdated call", outdated).await.unwrap();
    assert_eq!(fleet.in_redis(1).await, Some(item(1, 2, 1)));
    assert_eq!(shop.item(1).await.unwrap(), item(1, 2, 1));
    assert_eq!(other.item(1).await.unwrap(), item(1, 2, 1));
}

/// Callers and an invalidator of the same process race, over both tiers. Killed by: memory that is
/// filled without looking whether the flight was detached; a flight that stays joinable.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_sees_what_was_invalidated_before_it_began() {
    let fleet = Fleet::start();
    let (shop, other) = (fleet.shop().await, fleet.shop().await);
    let (acknowledged, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (shop, acknowledged, over) = (shop.clone(), acknowledged.clone(), over.clone());
            tokio::spawn(async move {
                while !over.load(SeqCst) {
                    let expected = acknowledged.load(SeqCst);
                    let found = shop.item(1).await.unwrap().version;
                    assert!(found >= expected, "version {found} after {expected} was acknowledged");
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for version in 1..=300 {
        fleet.database.set_version(1, version).await;
        // Fills Redis, and so the memory of who reads there, at any moment.
        let racing = (version % 3 == 0).then(|| call(&other, 1));
        shop.item_entry(1).invalidate().await.unwrap();
        acknowledged.store(version, SeqCst);
        if let Some(racing) = racing {
            within("a racing call", racing).await.unwrap();
        }
    }
    over.store(true, SeqCst);
    for caller in callers {
        within("a caller", caller).await.unwrap();
    }
    assert_eq!(shop.item(1).await.unwrap().version, 300);
    eventually("the other's memory follows", async || other.item(1).await.unwrap().version == 300).await;
}
