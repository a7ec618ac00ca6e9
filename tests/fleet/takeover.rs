//! A holder of the lease that dies, sleeps, or takes too long.

use std::time::Duration;

use crate::database::Order;
use crate::fleet::{Fleet, item};
use crate::waiting::{eventually, within};

/// Killed by: a waiter that waits for messages only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_holder_dies_one_waiter_takes_over() {
    let fleet = Fleet::start();
    let mut holder = fleet.process();
    let waiters = fleet.processes(3);
    fleet.database.order(1, &[Order::Hold]).await;
    let _lost = holder.item(1);
    fleet.database.begun(1, 1).await;
    let calls: Vec<_> = waiters.iter().flat_map(|process| [process.item(1), process.item(1)]).collect();
    fleet.waiting(3).await;
    holder.kill();
    for call in calls {
        assert_eq!(call.await, item(1, 2, 0));
    }
    assert_eq!(fleet.database.loads(1).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_takes_over_after_the_holder_died() {
    let fleet = Fleet::start();
    let mut holder = fleet.process();
    let shop = fleet.shop().await;
    fleet.database.order(1, &[Order::Hold]).await;
    let _lost = holder.item(1);
    fleet.database.begun(1, 1).await;
    holder.kill();
    assert_eq!(within("a later call", shop.item(1)).await.unwrap(), item(1, 2, 0));
    assert_eq!(fleet.in_redis(1).await, Some(item(1, 2, 0)));
    assert_eq!(fleet.database.loads(1).await, 2);
}

/// Killed by: a publish that does not compare the token; a fenced result that is kept in memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_paused_holder_publishes_late_is_fenced_off() {
    let fleet = Fleet::start();
    let (holder, other) = (fleet.process(), fleet.process());
    fleet.database.order(1, &[Order::Hold]).await;
    let paused = holder.item(1);
    fleet.database.begun(1, 1).await;
    holder.pause();
    // Waits until the lease has ended.
    assert_eq!(other.item(1).await, item(1, 2, 0));
    fleet.database.release(1, 1).await;
    holder.resume();
    paused.await;
    eventually("the late publish is fenced off", async || holder.stat("fenced_publishes").await == 1).await;
    assert_eq!(fleet.in_redis(1).await, Some(item(1, 2, 0)));
    assert_eq!(holder.item(1).await, item(1, 2, 0));
    assert_eq!(other.item(1).await, item(1, 2, 0));
    assert_eq!(fleet.database.loads(1).await, 2);
}

/// The same when somebody has invalidated meanwhile: there is no newer value to protect, and still nothing is stored.
/// Killed by: an `invalidate.lua` that keeps the lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_paused_holder_publishes_after_an_invalidation_is_fenced_off() {
    let fleet = Fleet::start();
    let (holder, other) = (fleet.process(), fleet.process());
    fleet.database.order(1, &[Order::Hold]).await;
    let paused = holder.item(1);
    fleet.database.begun(1, 1).await;
    holder.pause();
    fleet.database.set_version(1, 1).await;
    assert_eq!(other.ask("invalidate 1").await, "done");
    fleet.database.release(1, 1).await;
    holder.resume();
    paused.await;
    eventually("the late publish is fenced off", async || holder.stat("fenced_publishes").await == 1).await;
    assert!(!fleet.has_entry("item", 1));
    assert_eq!(holder.item(1).await, item(1, 2, 1));
    assert_eq!(other.item(1).await, item(1, 2, 1));
}

/// Killed by: renewing for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_without_timeout_keeps_others_away_for_the_limit_only() {
    let fleet = Fleet::start();
    let slow = fleet.shop_with(|builder| builder.lease_limit(Duration::from_secs(1))).await;
    let other = fleet.shop().await;
    fleet.database.order(1, &[Order::Hold]).await;
    let held = tokio::spawn({
        let slow = slow.clone();
        async move { slow.item(1).await.unwrap() }
    });
    fleet.database.begun(1, 1).await;
    assert_eq!(within("the other loads", other.item(1)).await.unwrap(), item(1, 2, 0));
    fleet.database.release(1, 1).await;
    assert_eq!(within("the slow call", held).await.unwrap(), item(1, 1, 0));
    assert_eq!(slow.cache.stats().fenced_publishes, 1);
    assert_eq!(slow.item(1).await.unwrap(), item(1, 2, 0), "memory has not kept what was fenced off");
}

/// Killed by: a lease that outlives its load's timeout.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_times_out_gives_its_lease_back() {
    let fleet = Fleet::start();
    let (slow, other) = (fleet.shop().await, fleet.shop().await);
    fleet.database.order(1, &[Order::Hold]).await;
    let timing_out = tokio::spawn({
        let slow = slow.clone();
        async move { slow.timed(1).await }
    });
    fleet.database.begun(1, 1).await;
    let error = within("the slow call", timing_out).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the load timed out");
    fleet.leaves_at_most_marks().await;
    assert_eq!(within("the other's call", other.timed(1)).await.unwrap(), item(1, 2, 0));
    assert_eq!(slow.timed(1).await.unwrap(), item(1, 2, 0));
    let stats = slow.cache.stats();
    assert_eq!((stats.timeouts, stats.load_errors), (1, 1));
}

/// A waiter has a deadline of its own; then it loads for itself, and what it loads stays out of Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_has_waited_as_long_as_its_timeout_loads_for_itself() {
    let fleet = Fleet::start();
    let mut holder = fleet.shop().await;
    let waiter = fleet.shop().await;
    // The holder's load has no deadline in the fleet: it is one of a function without timeout under the same name.
    fleet.database.order(1, &[Order::Hold]).await;
    let held = tokio::spawn({
        let holder = holder.clone();
        async move { holder.patient(1).await.unwrap() }
    });
    fleet.database.begun(1, 1).await;
    assert_eq!(within("the waiter", waiter.timed(1)).await.unwrap(), item(1, 2, 0));
    assert!(!fleet.has_entry("timed", 1));
    fleet.database.release(1, 1).await;
    assert_eq!(within("the holder", held).await.unwrap(), item(1, 1, 0));
    holder = fleet.shop().await;
    assert_eq!(holder.patient(1).await.unwrap(), item(1, 1, 0));
}

/// What it knew when it began to wait is void by then. Killed by: loading under the stamps from before the wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_takes_over_after_its_group_was_voided_stores_its_load() {
    let fleet = Fleet::start();
    let mut holder = fleet.process();
    let shop = fleet.shop().await;
    fleet.database.order(1, &[Order::Hold]).await;
    let _lost = holder.item(1);
    fleet.database.begun(1, 1).await;
    let waiter = shop.clone();
    let waiting = tokio::spawn(async move { waiter.item(1).await });
    fleet.waiting(1).await;
    shop.cache.clear().await.unwrap();
    holder.kill();
    assert_eq!(within("the call that waited", waiting).await.unwrap().unwrap(), item(1, 2, 0));
    assert_eq!(fleet.in_redis(1).await, Some(item(1, 2, 0)));
    assert_eq!(within("a hit", shop.item(1)).await.unwrap(), item(1, 2, 0));
    assert_eq!(fleet.database.loads(1).await, 2);
}
