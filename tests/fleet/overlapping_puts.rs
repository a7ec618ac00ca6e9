//! Puts of one key that are under way at the same time in one process: the later one is stored.

use hybridcache::Error;
use hybridcache_test_support::{Direction, FaultProxy, Flow};
use tokio::task::JoinHandle;

use crate::fleet::{Fleet, GENEROUS, item};
use crate::late_puts::is_about_an_item;
use crate::recovery::{is_connected, shop_behind};
use crate::shop::Shop;
use crate::waiting::{eventually, within};

/// Their ends may come in either order.
const ROUNDS: u64 = 20;

/// Begins two puts while the network holds commands back, and waits until both have ended.
async fn both_at_once(
    network: &FaultProxy,
    shop: &Shop,
    is_sent: fn(&[&[u8]]) -> bool,
    put: impl Fn(u64) -> JoinHandle<Result<(), Error>>,
) -> [Result<(), Error>; 2] {
    network.set(Direction::ToServer, Flow::Hold);
    let begun = shop.cache.stats().invalidations;
    let first = put(1);
    eventually("the first has begun", async || shop.cache.stats().invalidations == begun + 1).await;
    eventually("its first step is sent", async || network.under_way(is_sent) > 0).await;
    let second = put(2);
    eventually("the second has begun", async || shop.cache.stats().invalidations == begun + 2).await;
    network.restore();
    [within("the first", first).await.unwrap(), within("the second", second).await.unwrap()]
}

/// Killed by: a put that gives up because another one has begun, before Redis has said which of them has the lease; the end of the
/// first, which makes the second give up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_puts_the_later_one_is_stored() {
    let fleet = Fleet::start();
    let (network, shop) = shop_behind(&fleet).await;
    let other = fleet.shop().await;
    for round in 0..ROUNDS {
        let put = |number| {
            let entry = shop.item_entry(round);
            tokio::spawn(async move { entry.put(item(round, 0, number)).await })
        };
        both_at_once(&network, &shop, is_about_an_item, put).await.into_iter().for_each(|put| put.unwrap());
        let stored = item(round, 0, 2);
        assert_eq!(other.item_entry(round).get().await, Some(stored.clone()), "round {round}");
        assert_eq!(shop.item_entry(round).get().await, Some(stored), "round {round}");
    }
}

fn is_a_script(words: &[&[u8]]) -> bool {
    [b"EVALSHA".as_slice(), b"EVAL"].contains(&words[0])
}

/// Killed by: the end of the first, which takes the second's value out of memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_puts_for_memory_alone_the_later_one_is_stored() {
    let fleet = Fleet::start();
    let network = FaultProxy::start(fleet.redis.port());
    let shop = fleet.shop_at(&network.url(), |builder| builder.redis_budget(GENEROUS).value_limit(1000)).await;
    is_connected(&shop).await;
    for round in 0..ROUNDS {
        let put = |number: u64| {
            let entry = shop.text_entry(round);
            tokio::spawn(async move { entry.put("x".repeat(2000 + number as usize)).await })
        };
        both_at_once(&network, &shop, is_a_script, put).await.into_iter().for_each(|put| put.unwrap());
        let length = shop.text_entry(round).get().await.map(|text| text.len());
        assert_eq!(length, Some(2002), "round {round}");
    }
}

/// Many processes and tasks put one key: when all have ended, one of their values is stored. Killed by: as above.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_puts_one_is_stored() {
    let fleet = Fleet::start();
    let shops = [fleet.shop().await, fleet.shop().await];
    for shop in &shops {
        is_connected(shop).await;
    }
    for round in 0..ROUNDS {
        let puts: Vec<_> = (0..16)
            .map(|number| {
                let entry = shops[number as usize % 2].item_entry(1);
                tokio::spawn(async move { entry.put(item(1, round, number)).await })
            })
            .collect();
        for put in puts {
            within("a put", put).await.unwrap().unwrap();
        }
        let stored = fleet.in_redis(1).await.unwrap();
        assert_eq!(stored.load, round);
        for shop in &shops {
            eventually("its memory follows", async || shop.item_entry(1).get().await == Some(stored.clone())).await;
        }
    }
}
