//! What another process of the fleet does: it carries out requests, all at once, until its input ends.

use std::env;
use std::fmt::Debug;

use hybridcache::HybridCache;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

use crate::database::{Database, Item};
use crate::fleet::{GENEROUS, NAMESPACE};
use crate::process::{ANSWER, DATABASE, REDIS};
use crate::shop::Shop;

/// Returns at once where nobody started this process as a worker.
pub(crate) fn run() {
    let (Ok(redis), Ok(database)) = (env::var(REDIS), env::var(DATABASE)) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let builder = HybridCache::builder().namespace(NAMESPACE).redis(redis).redis_budget(GENEROUS);
        let cache = builder.build().await.unwrap();
        let shop = Shop { cache, database: Database::at(database.parse().unwrap()) };
        let mut lines = BufReader::new(stdin()).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let shop = shop.clone();
            tokio::spawn(async move {
                let (number, request) = line.split_once(' ').unwrap();
                println!("{ANSWER}{number} {}", answer(&shop, request).await);
            });
        }
    });
}

async fn answer(shop: &Shop, request: &str) -> String {
    match request.split_once(' ') {
        Some(("item", id)) => {
            let Item { id, load, version } = shop.item(id.parse().unwrap()).await.unwrap();
            format!("{id} {load} {version}")
        }
        Some(("invalidate", id)) => done(shop.item_entry(id.parse().unwrap()).invalidate().await),
        Some(("expire", id)) => done(shop.item_entry(id.parse().unwrap()).expire().await),
        _ => format!("{:?}", shop.cache.stats()),
    }
}

fn done(told: Result<(), impl Debug>) -> String {
    match told {
        Ok(()) => "done".to_owned(),
        Err(error) => format!("error: {error:?}"),
    }
}
