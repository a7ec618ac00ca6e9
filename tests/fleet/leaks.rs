//! Nothing is left behind when a cache goes, or while it lives.

use hybridcache_test_support::Reply;

use crate::database::Order;
use crate::fleet::Fleet;
use crate::invalidation::call;
use crate::waiting::{eventually, within};

/// How many clients the server has besides the one that asks.
fn connections(fleet: &Fleet) -> usize {
    let Reply::Bulk(list) = fleet.redis.command(&[b"CLIENT", b"LIST"]) else { panic!("CLIENT LIST was refused") };
    String::from_utf8(list).unwrap().lines().filter(|line| !line.contains("cmd=client|list")).count()
}

/// How many connections one cache has, once it is at rest.
async fn connections_of_one(fleet: &Fleet) -> usize {
    let shop = fleet.shop().await;
    shop.item(1).await.unwrap();
    let open = connections(fleet);
    assert!((1..=2).contains(&open), "one for commands, one for messages");
    drop(shop);
    eventually("they are closed", async || connections(fleet) == 0).await;
    open
}

/// Killed by: a task that holds the connection, and that nobody ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_last_handle_goes_so_do_the_connections() {
    let fleet = Fleet::start();
    let each = connections_of_one(&fleet).await;
    let shops = [fleet.shop().await, fleet.shop().await, fleet.shop().await];
    for shop in &shops {
        shop.item(1).await.unwrap();
        shop.item_entry(1).expire().await.unwrap();
        shop.item(1).await.unwrap();
    }
    eventually("all are connected", async || connections(&fleet) == 3 * each).await;
    let clone = shops[0].clone();
    drop(shops);
    eventually("one is left", async || connections(&fleet) == each).await;
    clone.item(2).await.unwrap();
    drop(clone);
    eventually("none is left", async || connections(&fleet) == 0).await;
    fleet.leaves_no_trace().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_or_a_load_under_way_keeps_the_connection() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    let entry = shop.item_entry(1);
    fleet.database.order(1, &[Order::Hold]).await;
    call(&shop, 1).abort();
    let abandoned = call(&shop, 1);
    fleet.database.begun(1, 1).await;
    abandoned.abort();
    drop(shop);
    drop(entry);
    fleet.database.release(1, 1).await;
    eventually("the load stores its value", async || fleet.has_entry("item", 1)).await;
    eventually("then the connection goes", async || connections(&fleet) == 0).await;
    fleet.leaves_no_trace().await;
}

/// Killed by: a reconnection that keeps what it replaces.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reconnecting_leaves_no_connection_behind() {
    let fleet = Fleet::start();
    let each = connections_of_one(&fleet).await;
    let shop = fleet.shop().await;
    for (round, kind) in (2..).zip(["pubsub", "normal", "pubsub"]) {
        fleet.redis.command(&[b"CLIENT", b"KILL", b"TYPE", kind.as_bytes()]);
        eventually("it reconnects", async || {
            within("a call", shop.item(round)).await.unwrap();
            shop.item_entry(round).invalidate().await.is_ok()
        })
        .await;
        eventually("without the old connections", async || connections(&fleet) == each).await;
    }
    drop(shop);
    eventually("none is left", async || connections(&fleet) == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_that_never_found_its_redis_ends_too() {
    let fleet = Fleet::start();
    fleet.redis.kill();
    let shop = within("the cache is built", fleet.shop()).await;
    within("a call", shop.item(1)).await.unwrap();
    drop(shop);
    fleet.redis.restart();
    // A client that still tried would be here within a second.
    let accepted = || {
        let stats = fleet.redis.info("stats");
        let count = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:")).unwrap();
        count.parse::<u64>().unwrap()
    };
    let (began, before) = (fleet.now(), accepted());
    let mut own = 0;
    eventually("some time passes", async || {
        own += 1;
        fleet.now() > began + 2_000
    })
    .await;
    // Each look at the clock takes a connection, and so does each count.
    assert_eq!(accepted() - before, own + 1);
}

/// The connections are the cache's, and no runtime's. Killed by: links on the runtime that built the cache; a thread that
/// outlives the last handle.
#[test]
fn connections_last_as_long_as_the_cache_whatever_runtimes_end() {
    let fleet = Fleet::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let shop = runtime.block_on(async {
        let shop = fleet.shop().await;
        shop.item(1).await.unwrap();
        shop
    });
    let before = connections(&fleet);
    assert!(before > 0);
    drop(runtime);
    let beats = fleet.redis.command_calls("publish");
    let waiting = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    waiting.block_on(eventually("heartbeats go on", async || fleet.redis.command_calls("publish") > beats + 1));
    assert_eq!(connections(&fleet), before);
    drop(shop);
    waiting.block_on(eventually("none is left", async || connections(&fleet) == 0));
}
