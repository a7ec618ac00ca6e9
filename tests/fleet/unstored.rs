//! Loads that leave nothing in Redis: nobody waits for the next one.
//!
//! Every load is held by the database, so a load that begins only when another has ended never begins here.

use std::time::Duration;

use hybridcache::hybrid_cached;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::database::Order;
use crate::fleet::{Fleet, item};
use crate::process::Process;
use crate::recovery::connected_shop;
use crate::shop::Shop;
use crate::waiting::{eventually, within};

/// Cannot be encoded.
#[derive(Clone, Deserialize)]
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("unwritable"))
    }
}

/// Cannot be decoded.
#[derive(Clone, Serialize)]
struct Unreadable {
    load: u64,
}

impl<'de> Deserialize<'de> for Unreadable {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("unreadable"))
    }
}

impl Shop {
    #[hybrid_cached(name = "unwritable", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn unwritable(&self, id: u64) -> Unwritable {
        let _ = self.database.load(id).await;
        Unwritable
    }

    #[hybrid_cached(name = "unreadable", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn unreadable(&self, id: u64) -> Unreadable {
        Unreadable { load: self.database.load(id).await.unwrap().load }
    }
}

/// Longer than the limit of [`frees_all`].
const TOO_LONG: u64 = 2000;

/// Four processes on a cold key: the first loads as the first order says, and the others wait. When nothing comes of the load, all others load at once.
async fn frees_all<F>(version: u64, orders: [Order; 2], first: impl Fn(Shop) -> F, call: impl Fn(Shop) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let fleet = Fleet::start();
    fleet.database.set_version(1, version).await;
    fleet.database.order(1, &[orders[0], orders[1], orders[1], orders[1]]).await;
    let limited = async || fleet.shop_with(|builder| builder.value_limit(1000)).await;
    // They live on when their calls have ended, as processes do.
    let shops = [limited().await, limited().await, limited().await, limited().await];
    let mut calls = vec![tokio::spawn(first(shops[0].clone()))];
    fleet.database.begun(1, 1).await;
    calls.extend(shops[1..].iter().map(|shop| tokio::spawn(call(shop.clone()))));
    fleet.waiting(3).await;
    fleet.database.release(1, 1).await;
    fleet.database.begun(1, 4).await;
    for load in 2..=4 {
        fleet.database.release(1, load).await;
    }
    for call in calls {
        // One that panicked has ended, too.
        let _ = within("a call", call).await;
    }
    assert_eq!(fleet.database.loads(1).await, 4);
}

/// Killed by: a release without a reason; a waiter that waits for the next load whatever the reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_load_fails_all_waiters_load_at_once() {
    let call = |shop: Shop| async move { drop(shop.item(1).await) };
    frees_all(0, [Order::HoldAndFail; 2], call, call).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_load_panics_all_waiters_load_at_once() {
    let call = |shop: Shop| async move { drop(shop.item(1).await) };
    frees_all(0, [Order::HoldAndPanic; 2], call, call).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_value_is_not_to_be_stored_all_waiters_load_at_once() {
    let call = |shop: Shop| async move { drop(shop.draft(1).await) };
    frees_all(0, [Order::Hold; 2], call, call).await;
}

/// Killed by: a lease that is dropped without a reason where a value cannot be sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_value_is_over_the_limit_all_waiters_load_at_once() {
    let call = |shop: Shop| async move { drop(shop.text(1).await) };
    frees_all(TOO_LONG, [Order::Hold; 2], call, call).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_value_cannot_be_encoded_all_waiters_load_at_once() {
    let call = |shop: Shop| async move { assert!(matches!(shop.unwritable(1).await, Unwritable)) };
    frees_all(0, [Order::Hold; 2], call, call).await;
}

/// It is stored, and comes to nobody. Killed by: a waiter that takes what it cannot decode for nothing at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_value_cannot_be_decoded_all_waiters_load_at_once() {
    let call = |shop: Shop| async move { assert!(shop.unreadable(1).await.load > 0) };
    frees_all(0, [Order::Hold; 2], call, call).await;
}

/// Who waits has no timeout, and would wait for the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_load_times_out_all_waiters_load_at_once() {
    type Boxed = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
    let timed = |shop: Shop| -> Boxed { Box::pin(async move { drop(shop.timed(1).await) }) };
    let patient = |shop: Shop| -> Boxed { Box::pin(async move { drop(shop.patient(1).await) }) };
    frees_all(0, [Order::Take(Duration::from_secs(60)), Order::Hold], timed, patient).await;
}

/// Ten processes that call one key whose loads fail, and those who call a moment later: two loads' time for the first, one for the
/// others. Killed by: as above; no mark; a mark that the next lease wipes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_errors_is_not_served_one_after_the_other() {
    let fleet = Fleet::start();
    let processes = fleet.processes(10);
    for process in &processes {
        process.ask("stats").await;
    }
    fleet.database.order(1, &[Order::HoldAndFail; 20]).await;
    let call = |process: &Process| process.ask("item 1");
    let mut calls = vec![call(&processes[0])];
    fleet.database.begun(1, 1).await;
    calls.extend(processes[1..].iter().map(call));
    fleet.waiting(9).await;
    fleet.database.release(1, 1).await;
    fleet.database.begun(1, 10).await;
    // One has its error already, and calls again. A load is under way.
    let mut calls = calls.into_iter();
    assert_eq!(calls.next().unwrap().await, "error: out of stock");
    let again = call(&processes[0]);
    fleet.database.begun(1, 11).await;
    for load in 2..=11 {
        fleet.database.release(1, load).await;
    }
    for call in calls.chain([again]) {
        assert_eq!(call.await, "error: out of stock");
    }
    assert_eq!(fleet.database.loads(1).await, 11);
}

/// One of those who load at once has the lease. Killed by: going on without Redis altogether; a mark that refuses the lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_turns_out_to_be_storable_is_stored() {
    let fleet = Fleet::start();
    let shops = [fleet.shop().await, fleet.shop().await, fleet.shop().await];
    fleet.database.order(1, &[Order::Hold; 3]).await;
    let call = |shop: &Shop| {
        let shop = shop.clone();
        tokio::spawn(async move { shop.draft(1).await.unwrap() })
    };
    let unstored = call(&shops[0]);
    fleet.database.begun(1, 1).await;
    let waiting = [call(&shops[1]), call(&shops[2])];
    fleet.waiting(2).await;
    fleet.database.set_version(1, 1).await;
    fleet.database.release(1, 1).await;
    fleet.database.begun(1, 3).await;
    fleet.database.release(1, 2).await;
    fleet.database.release(1, 3).await;
    assert_eq!(within("the first", unstored).await.unwrap(), item(1, 1, 0));
    for call in waiting {
        assert_eq!(within("a call", call).await.unwrap().version, 1);
    }
    assert_eq!(fleet.shop().await.draft(1).await.unwrap().version, 1);
    for shop in &shops[1..] {
        assert_eq!(shop.draft(1).await.unwrap().version, 1, "memory has it");
    }
    assert_eq!(fleet.database.loads(1).await, 3);
    eventually("no lease is left", async || fleet.redis.keys("*:l").is_empty()).await;
}

/// Waits until two processes are on one key again, the one loading and the other waiting for it.
async fn is_loaded_once(fleet: &Fleet, loads: u64) {
    let shops = [fleet.shop().await, fleet.shop().await];
    let call = |shop: &Shop| {
        let shop = shop.clone();
        tokio::spawn(async move { shop.item(1).await.unwrap() })
    };
    fleet.database.order(1, &[Order::Hold]).await;
    let holding = call(&shops[0]);
    fleet.database.begun(1, loads + 1).await;
    let waiting = call(&shops[1]);
    fleet.waiting(1).await;
    fleet.database.release(1, loads + 1).await;
    assert_eq!(within("the holder", holding).await.unwrap().load, loads + 1);
    assert_eq!(within("who waits", waiting).await.unwrap().load, loads + 1);
    assert_eq!(fleet.database.loads(1).await, loads + 1);
}

/// Killed by: a publish that leaves the mark for the next lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_load_that_stored_there_is_one_load_again() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    fleet.database.order(1, &[Order::Fail]).await;
    shop.item(1).await.unwrap_err();
    assert_eq!(within("the next call", shop.item(1)).await.unwrap(), item(1, 2, 0));
    assert!(fleet.has_entry("item", 1), "it had the lease");
    fleet.redis.command(&[b"DEL", fleet.entry_key("item", 1).as_bytes()]);
    is_loaded_once(&fleet, 2).await;
}

/// Killed by: an invalidation that leaves the mark.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_invalidation_there_is_one_load_again() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    fleet.database.order(1, &[Order::Fail]).await;
    shop.item(1).await.unwrap_err();
    shop.item_entry(1).invalidate().await.unwrap();
    is_loaded_once(&fleet, 1).await;
}

/// Killed by: a mark without a lifetime.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moment_later_there_is_one_load_again() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    fleet.database.order(1, &[Order::Fail]).await;
    shop.item(1).await.unwrap_err();
    eventually("the mark ends", async || fleet.redis.keys("*:l").is_empty()).await;
    is_loaded_once(&fleet, 1).await;
}

/// A refresh that fails: the others, who had begun one too, leave it at that. Killed by: a refresh that takes the next lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refreshes_do_not_line_up_behind_one_that_fails() {
    let fleet = Fleet::start();
    let shops = [fleet.shop().await, fleet.shop().await, fleet.shop().await];
    for shop in &shops {
        shop.item(1).await.unwrap();
    }
    shops[0].item_entry(1).expire().await.unwrap();
    fleet.database.order(1, &[Order::HoldAndFail, Order::Hold, Order::Hold]).await;
    assert_eq!(shops[0].item(1).await.unwrap(), item(1, 1, 0));
    fleet.database.begun(1, 2).await;
    for shop in &shops[1..] {
        // A hit until the message has come.
        eventually("it refreshes", async || {
            assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0));
            shop.cache.stats().refreshes == 1
        })
        .await;
    }
    fleet.waiting(2).await;
    fleet.database.release(1, 2).await;
    // Nobody has it for some time: who takes it next does so when the message comes.
    let mut looks = 0;
    eventually("the mark ends, and nobody has the lease", async || {
        looks = if fleet.redis.keys("*:l").is_empty() { looks + 1 } else { 0 };
        looks == 20
    })
    .await;
    assert_eq!(fleet.database.loads(1).await, 2);
}

/// Lets no mark and no lease end by itself, however busy the machine is.
async fn keeps_marks(fleet: &Fleet) {
    loop {
        for key in fleet.redis.keys("*:l") {
            fleet.redis.command(&[b"PEXPIRE", key.as_bytes(), b"50000"]);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A hot key whose value is never stored, and ten processes that call it again and again: after the first load all ten load at the
/// same time, and none waits for another. Killed by: a mark that the next lease wipes; waiters that are woken one by one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_key_that_is_not_stored_is_loaded_side_by_side() {
    const PROCESSES: u64 = 10;
    let fleet = Fleet::start();
    let mut shops = Vec::new();
    for _ in 0..PROCESSES {
        shops.push(connected_shop(&fleet).await);
    }
    fleet.database.order(1, &[Order::Hold; 50]).await;
    let call = |shop: &Shop| {
        let shop = shop.clone();
        tokio::spawn(async move { shop.draft(1).await.unwrap() })
    };
    let rounds = async {
        let first = call(&shops[0]);
        fleet.database.begun(1, 1).await;
        let mut calls: Vec<_> = shops[1..].iter().map(call).collect();
        fleet.waiting(PROCESSES as usize - 1).await;
        fleet.database.release(1, 1).await;
        within("the first", first).await.unwrap();
        calls.push(call(&shops[0]));
        for round in 0..4 {
            // None of them is released before all have begun.
            let begun = 1 + round * PROCESSES;
            fleet.database.begun(1, begun + PROCESSES).await;
            for load in 1..=PROCESSES {
                fleet.database.release(1, begun + load).await;
            }
            for call in calls.drain(..) {
                within("a call", call).await.unwrap();
            }
            if round < 3 {
                calls.extend(shops.iter().map(call));
            }
        }
    };
    tokio::select! {
        () = keeps_marks(&fleet) => {}
        () = rounds => {}
    }
    assert_eq!(fleet.database.loads(1).await, 1 + 4 * PROCESSES);
}
