//! Marking as stale.

use crate::database::Order;
use crate::fleet::{Fleet, item};
use crate::invalidation::hold_outdated_load;
use crate::waiting::{eventually, within};

/// Killed by: an `expire` that does not end the lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_loaded_before_an_expiration_is_not_fresh_after_it() {
    for by_other in [false, true] {
        let fleet = Fleet::start();
        let (shop, other) = (fleet.shop().await, fleet.shop().await);
        let outdated = hold_outdated_load(&fleet, &shop).await;
        let expirer = if by_other { &other } else { &shop };
        expirer.item_entry(1).expire().await.unwrap();
        fleet.database.release(1, 1).await;
        assert_eq!(within("the outdated call", outdated).await.unwrap(), item(1, 1, 0));
        // The first call may get the outdated value, as a stale one.
        within("a call", shop.item(1)).await.unwrap();
        for shop in [&shop, &other] {
            eventually("the refresh lands", async || shop.item(1).await.unwrap() == item(1, 2, 1)).await;
        }
        assert_eq!(fleet.in_redis(1).await, Some(item(1, 2, 1)));
        fleet.leaves_no_trace().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expiration_reaches_the_memory_of_other_processes() {
    let fleet = Fleet::start();
    let processes = fleet.processes(2);
    for process in &processes {
        assert_eq!(process.item(1).await, item(1, 1, 0));
    }
    assert_eq!(processes[0].ask("expire 1").await, "done");
    eventually("the other refreshes", async || processes[1].item(1).await == item(1, 2, 0)).await;
    eventually("the first follows", async || processes[0].item(1).await == item(1, 2, 0)).await;
    assert_eq!(fleet.database.loads(1).await, 2);
    // One for each look before the refresh has landed.
    assert!(processes[1].stat("stale_hits").await >= 1);
}

/// Killed by: an `expire` that takes the entry's lifetime away; a stale entry that is read as absent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_entry_is_still_there_with_its_lifetime() {
    let fleet = Fleet::start();
    let (shop, other) = (fleet.shop().await, fleet.shop().await);
    shop.item(1).await.unwrap();
    shop.item_entry(1).expire().await.unwrap();
    assert_eq!(shop.item_entry(1).get().await, Some(item(1, 1, 0)));
    assert_eq!(other.item_entry(1).get().await, Some(item(1, 1, 0)));
    let lifetime = fleet.redis.command(&[b"PTTL", fleet.entry_key("item", 1).as_bytes()]);
    assert!(matches!(lifetime, hybridcache_test_support::Reply::Integer(3_600_000..=7_200_000)), "{lifetime:?}");
}

/// And a refresh that fails after an expiration leaves the value.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expiring_what_is_not_there_does_nothing() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    shop.item_entry(1).expire().await.unwrap();
    assert!(!fleet.has_entry("item", 1));
    assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0));
    fleet.database.order(1, &[Order::Fail]).await;
    shop.item_entry(1).expire().await.unwrap();
    assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0));
    fleet.database.begun(1, 2).await;
    fleet.leaves_at_most_marks().await;
    assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0));
}
