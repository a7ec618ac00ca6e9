//! However a load or its caller ends, its lease and its stage are gone at once and others go on.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::database::{Item, Order};
use crate::fleet::{Fleet, item};
use crate::shop::{Failure, Shop};
use crate::waiting::{eventually, within};

/// Polls a future once, and leaves it.
pub(crate) async fn poll_once<F: Future>(future: &mut Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

fn call(shop: &Shop, id: u64) -> JoinHandle<Result<Item, Failure>> {
    let shop = shop.clone();
    tokio::spawn(async move { shop.item(id).await })
}

/// Killed by: a load that runs in its caller's task.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_whose_caller_was_dropped_goes_on() {
    let fleet = Fleet::start();
    let (shop, other) = (fleet.shop().await, fleet.process());
    fleet.database.order(1, &[Order::Hold]).await;
    let caller = call(&shop, 1);
    fleet.database.begun(1, 1).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    let joined = call(&shop, 1);
    let elsewhere = other.item(1);
    fleet.waiting(1).await;
    fleet.database.release(1, 1).await;
    assert_eq!(within("who joined", joined).await.unwrap().unwrap(), item(1, 1, 0));
    assert_eq!(elsewhere.await, item(1, 1, 0));
    assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0));
    assert_eq!(fleet.database.loads(1).await, 1);
    fleet.leaves_no_trace().await;
}

/// Polled once, then neither polled again nor dropped. Killed by: a joiner that leaves the flight with whoever started it; a
/// lease taken in that caller's task.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_is_held_holds_nobody_up() {
    let fleet = Fleet::start();
    let (shop, other) = (fleet.shop().await, fleet.shop().await);
    fleet.database.order(1, &[Order::Hold]).await;
    let mut held = pin!(shop.item(1));
    assert!(poll_once(&mut held).await.is_none());
    let callers = [call(&shop, 1), call(&other, 1)];
    fleet.database.begun(1, 1).await;
    fleet.waiting(1).await;
    fleet.database.release(1, 1).await;
    for caller in callers {
        assert_eq!(within("another caller", caller).await.unwrap().unwrap(), item(1, 1, 0));
    }
    fleet.leaves_no_trace().await;
    assert_eq!(within("the held caller", held).await.unwrap(), item(1, 1, 0));
    assert_eq!(fleet.database.loads(1).await, 1);
}

/// Nobody joins it, and nobody else has the key's lease meanwhile. Killed by: taking the lease for a caller who is not
/// polled; charging the wait to the tier's budget.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_caller_that_nobody_joins_goes_on_where_it_was() {
    let fleet = Fleet::start();
    let (shop, other) = (fleet.shop().await, fleet.shop().await);
    let (mut alone, mut overtaken) = (pin!(shop.item(1)), pin!(shop.item(2)));
    // Links have a thread of their own: an answer that came during the first poll would move the flight to a task.
    fleet.redis.stop();
    assert!(poll_once(&mut alone).await.is_none());
    assert!(poll_once(&mut overtaken).await.is_none());
    fleet.redis.resume();
    assert_eq!(within("another process", call(&other, 2)).await.unwrap().unwrap(), item(2, 1, 0));
    // Far longer than the tier's budget.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(within("the held caller", alone).await.unwrap(), item(1, 1, 0));
    assert_eq!(within("the one overtaken", overtaken).await.unwrap(), item(2, 1, 0));
    let stats = shop.cache.stats();
    assert_eq!((stats.loads, stats.degraded_loads, stats.redis_errors), (1, 0, 0));
    fleet.leaves_no_trace().await;
}

/// Given up while it looks into Redis. Killed by: dropping the flight with its caller.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_goes_on_when_its_caller_has_looked_and_gone_away() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    {
        let mut caller = pin!(shop.item(1));
        fleet.redis.stop();
        assert!(poll_once(&mut caller).await.is_none());
    }
    fleet.redis.resume();
    eventually("its value is stored", async || fleet.has_entry("item", 1)).await;
    assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0));
    assert_eq!(fleet.database.loads(1).await, 1);
}

/// The same with a handle: a lease or an entry must not depend on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_whose_future_is_dropped_leaves_nothing_behind() {
    let fleet = Fleet::start();
    let (shop, other) = (fleet.shop().await, fleet.shop().await);
    for id in 1..=50 {
        let entry = shop.item_entry(id);
        let mut put = Box::pin(entry.put(item(id, 0, 9)));
        poll_once(&mut put.as_mut()).await;
        drop(put);
        let found = within("a call", shop.item(id)).await.unwrap();
        assert!(found == item(id, 1, 0) || found == item(id, 0, 9), "{found:?}");
        let elsewhere = within("another process", other.item(id)).await.unwrap();
        assert!(elsewhere.load <= 2, "{elsewhere:?}");
    }
    fleet.leaves_no_trace().await;
}

/// Killed by: a lease that is not released on a panic.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_panics_panics_in_every_caller_and_leaves_nothing() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    fleet.database.order(1, &[Order::HoldAndPanic]).await;
    let callers: Vec<_> = (0..20).map(|_| call(&shop, 1)).collect();
    eventually("all others join", async || shop.cache.stats().joined == 19).await;
    fleet.database.release(1, 1).await;
    for caller in callers {
        let panic = within("a caller", caller).await.unwrap_err().into_panic();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), "the shelf fell over");
    }
    fleet.leaves_at_most_marks().await;
    assert_eq!(shop.item(1).await.unwrap(), item(1, 2, 0));
    assert_eq!(fleet.in_redis(1).await, Some(item(1, 2, 0)));
}

/// A runtime that ends with a load under way: the process may live on, with other runtimes.
#[test]
fn a_load_whose_runtime_ends_leaves_the_key_to_others() {
    let fleet = Fleet::start();
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let first = runtime();
    let shop = first.block_on(async {
        let shop = fleet.shop().await;
        fleet.database.order(1, &[Order::Hold]).await;
        drop(call(&shop, 1));
        fleet.database.begun(1, 1).await;
        shop
    });
    drop(first);
    let second = runtime();
    second.block_on(async {
        let other = fleet.shop().await;
        assert_eq!(within("another process", other.item(1)).await.unwrap(), item(1, 2, 0));
        let found = within("the same cache", shop.item(1)).await.unwrap();
        assert!(found.load >= 2, "{found:?}");
        // It has reconnected by itself.
        eventually("it uses Redis again", async || {
            within("a call", shop.item(2)).await.unwrap();
            shop.item_entry(2).invalidate().await.unwrap_or_default();
            within("a call", shop.item(2)).await.unwrap();
            fleet.has_entry("item", 2)
        })
        .await;
    });
}
