//! Loads that end with an error: everybody who joined gets it as far as it can be shared, nothing is left in Redis.

use tokio::task::JoinSet;

use crate::database::Order;
use crate::fleet::{Fleet, item};
use crate::waiting::{eventually, within};

const CALLERS: usize = 20;

/// As many callers of one function at once.
macro_rules! callers {
    ($shop:expr, $function:ident) => {{
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let shop = $shop.clone();
            callers.spawn(async move { shop.$function(1).await });
        }
        eventually("all others join", async || $shop.cache.stats().joined == CALLERS as u64 - 1).await;
        callers
    }};
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_that_can_be_cloned_is_everybodys() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    fleet.database.order(1, &[Order::HoldAndFail]).await;
    let callers = callers!(shop, item);
    fleet.database.release(1, 1).await;
    for result in within("the callers", callers.join_all()).await {
        assert_eq!(result.unwrap_err().to_string(), "out of stock");
    }
    fleet.leaves_at_most_marks().await;
    assert_eq!(fleet.database.loads(1).await, 1);
    assert!(!fleet.has_entry("item", 1));
    assert_eq!(shop.item(1).await.unwrap(), item(1, 2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_that_cannot_be_cloned_is_shared() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    fleet.database.order(1, &[Order::HoldAndFail]).await;
    let callers = callers!(shop, opaque);
    fleet.database.release(1, 1).await;
    for result in within("the callers", callers.join_all()).await {
        assert_eq!(result.unwrap_err().to_string(), "out of stock");
    }
    fleet.leaves_at_most_marks().await;
    assert_eq!(fleet.database.loads(1).await, 1);
    assert_eq!(shop.opaque(1).await.unwrap(), item(1, 2, 0));
}

/// Each of the others loads for itself, all at the same time. Killed by: others that queue up behind each other's loads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_that_only_one_can_have_queues_nobody_up() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    fleet.database.order(1, &[Order::HoldAndFail; CALLERS]).await;
    let callers = callers!(shop, unshared);
    fleet.database.release(1, 1).await;
    // None of them has ended when the last begins.
    fleet.database.begun(1, CALLERS as u64).await;
    for load in 2..=CALLERS as u64 {
        fleet.database.release(1, load).await;
    }
    for result in within("the callers", callers.join_all()).await {
        result.unwrap_err();
    }
    fleet.leaves_at_most_marks().await;
    assert_eq!(fleet.database.loads(1).await, CALLERS as u64);
    assert_eq!(shop.unshared(1).await.unwrap(), item(1, CALLERS as u64 + 1, 0));
}

/// Two processes with callers each, and a load that fails each time: nobody hangs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_never_loads_hangs_nobody() {
    let fleet = Fleet::start();
    let shops = [fleet.shop().await, fleet.shop().await];
    fleet.database.order(1, &[Order::Fail; 300]).await;
    let mut callers = JoinSet::new();
    for place in 0..100 {
        let shop = shops[place % 2].clone();
        callers.spawn(async move {
            let cloned = shop.item(1).await.map(drop).unwrap_err().to_string();
            let shared = shop.opaque(1).await.map(drop).unwrap_err().to_string();
            assert_eq!([cloned, shared], ["out of stock"; 2]);
            shop.unshared(1).await.map(drop).unwrap_err();
        });
    }
    within("all callers", callers.join_all()).await;
    fleet.leaves_at_most_marks().await;
}
