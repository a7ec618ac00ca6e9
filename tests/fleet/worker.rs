//! What another process of the fleet does: it carries out requests, all at once, until its input ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use hybridcache::{BreakerState, HybridCache};
use hybridcache_test_support::worker::{run_worker, serve_requests};

use crate::database::{Database, Item};
use crate::fleet::{GENEROUS, NAMESPACE};
use crate::shop::{Failure, Shop};
use crate::waiting::eventually;

/// Returns at once where nobody started this process as a worker.
pub(crate) fn run() {
    run_worker(async |[redis, database]: [String; 2]| {
        // Loads are counted exactly: see `GENEROUS`.
        let builder = HybridCache::builder().namespace(NAMESPACE).redis(redis).redis_budget(GENEROUS);
        let cache = builder.build().await.unwrap();
        let shop = Shop { cache, database: Database::at(database.parse().unwrap()) };
        // On a busy machine the cache is built before it is connected, and a load without Redis is one load too many.
        is_connected(&shop).await;
        let worker = Arc::new(Worker { shop, hammering: AtomicBool::new(true), newest: AtomicU64::new(0) });
        serve_requests(|request| {
            let worker = worker.clone();
            async move { worker.answer(&request.split(' ').collect::<Vec<_>>()).await }
        })
        .await;
    });
}

/// An item that nobody ever stores.
const NOBODYS: u64 = 999_999;

/// Waits until Redis answers. Afterwards the stamps of the namespace and of `item` are known.
pub(crate) async fn is_connected(shop: &Shop) {
    eventually("Redis answers", async || {
        let before = shop.cache.stats().redis_errors;
        assert_eq!(shop.item_entry(NOBODYS).get().await, None);
        shop.cache.stats().redis_errors == before && shop.cache.stats().breaker == BreakerState::Closed
    })
    .await;
}

struct Worker {
    shop: Shop,
    hammering: AtomicBool,
    /// The newest load that any hammering call has returned.
    newest: AtomicU64,
}

impl Worker {
    async fn answer(self: &Arc<Self>, words: &[&str]) -> String {
        let number = |place: usize| -> u64 { words[place].parse().unwrap() };
        let shop = &self.shop;
        match words[0] {
            "item" => item(shop.item(number(1)).await),
            "price" => item(shop.price(number(1), number(2)).await),
            "offer" => item(shop.offer(number(1), number(2)).await),
            "storm" => self.storm(number(1), number(2)).await,
            "invalidate" => done(shop.item_entry(number(1)).invalidate().await),
            "expire" => done(shop.item_entry(number(1)).expire().await),
            "put" => done(shop.item_entry(number(1)).put(put(number(1), number(2))).await),
            "invalidate-price" => done(shop.price_handle(number(1), number(2)).invalidate().await),
            "expire-price" => done(shop.price_handle(number(1), number(2)).expire().await),
            "put-price" => done(shop.price_handle(number(1), number(2)).put(put(number(2), number(3))).await),
            "hammer" => self.hammer(words[1] == "brief", number(2), number(3)),
            "newest" => self.newest.load(SeqCst).to_string(),
            "rest" => {
                self.hammering.store(false, SeqCst);
                "resting".to_owned()
            }
            "stats" => format!("{:?}", shop.cache.stats()),
            other => panic!("unknown request {other:?}"),
        }
    }

    /// So many callers at once on each of so many keys. Answers with the loads that were returned, by key.
    async fn storm(&self, keys: u64, callers: u64) -> String {
        let calls: Vec<_> = (0..callers)
            .flat_map(|_| 0..keys)
            .map(|id| {
                let shop = self.shop.clone();
                tokio::spawn(async move { shop.item(id).await.unwrap() })
            })
            .collect();
        let mut loads: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for call in calls {
            let item = call.await.unwrap();
            let loads = loads.entry(item.id).or_default();
            if !loads.contains(&item.load) {
                loads.push(item.load);
            }
        }
        let loads: Vec<String> = loads.into_iter().map(|(id, loads)| format!("{id}={loads:?}")).collect();
        loads.join(";")
    }

    /// Calls one key from several tasks until told to rest.
    fn hammer(self: &Arc<Self>, brief: bool, id: u64, tasks: u64) -> String {
        for _ in 0..tasks {
            let worker = self.clone();
            tokio::spawn(async move {
                while worker.hammering.load(SeqCst) {
                    let called = if brief { worker.shop.brief(id).await } else { worker.shop.item(id).await };
                    worker.newest.fetch_max(called.unwrap().load, SeqCst);
                    // Leaves some of the two cores to those who load.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
        }
        "hammering".to_owned()
    }
}

/// What a put stores: it comes from no load.
fn put(id: u64, version: u64) -> Item {
    Item { id, load: 0, version }
}

fn item(called: Result<Item, Failure>) -> String {
    match called {
        Ok(Item { id, load, version }) => format!("{id} {load} {version}"),
        Err(error) => format!("error: {error}"),
    }
}

fn done(told: Result<(), hybridcache::Error>) -> String {
    match told {
        Ok(()) => "done".to_owned(),
        Err(error) => format!("error: {error}"),
    }
}
