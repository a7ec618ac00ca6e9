//! A cluster.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use hybridcache::BreakerState;
use hybridcache_test_support::{Authority, RedisCluster, RedisServer};

use crate::fleet::{Fleet, item};
use crate::process::Process;
use crate::shop::Shop;
use crate::waiting::{eventually, within};

fn all(cluster: &RedisCluster) -> Vec<&RedisServer> {
    cluster.nodes.iter().collect()
}

/// The name of a stored entry, and the node that has it.
fn place(cluster: &RedisCluster, id: u64) -> (String, &RedisServer) {
    let pattern = format!("*:item@*:{id}:e");
    let keys = |node: &RedisServer| node.keys(&pattern).pop();
    cluster.nodes.iter().find_map(|node| Some((keys(node)?, node))).unwrap()
}

/// Which of the ids are on that node, as long as it runs.
fn on(cluster: &RedisCluster, node: &RedisServer, ids: impl Iterator<Item = u64>) -> (Vec<u64>, Vec<u64>) {
    ids.partition(|&id| place(cluster, id).1.port() == node.port())
}

/// Killed by: one `MGET` for several stamps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_all_nodes() {
    let cluster = RedisCluster::start();
    let fleet = Fleet::at(cluster.url());
    fleet.all_works(&all(&cluster), 0).await;
    for node in &cluster.nodes {
        assert!(!node.keys("*:e").is_empty(), "its share of the entries");
        assert!(!node.info("errorstats").contains("errorstat_CROSSSLOT"), "{}", node.info("errorstats"));
        assert!(!node.info("errorstats").contains("errorstat_MOVED"), "{}", node.info("errorstats"));
    }
    let from_one = format!("redis-cluster://127.0.0.1:{}", cluster.nodes[1].port());
    Fleet::at(from_one).all_works(&all(&cluster), 10_000).await;
}

/// Killed by: going on without TLS from the nodes of the URL to the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls() {
    let authority = Authority::new();
    let cluster = RedisCluster::start_with_tls(&authority);
    let (cert, key) = authority.client();
    let port = RedisCluster::tls_port(&cluster.nodes[0]);
    let files = format!("ca={}&cert={}&key={}", authority.ca().display(), cert.display(), key.display());
    Fleet::at(format!("rediss-cluster://127.0.0.1:{port}?{files}")).all_works(&all(&cluster), 0).await;
}

/// Calls all the while. Once everybody has followed an invalidation, nobody goes back behind it.
struct Load {
    runs: Arc<AtomicBool>,
    followed: Arc<Vec<AtomicU64>>,
    callers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    /// The items from 0 on.
    fn on(shops: &[&Shop], items: u64) -> Self {
        let runs = Arc::new(AtomicBool::new(true));
        let followed: Arc<Vec<_>> = Arc::new((0..items).map(|_| AtomicU64::new(0)).collect());
        let callers = shops.iter().map(|&shop| {
            let (shop, followed, runs) = (shop.clone(), followed.clone(), runs.clone());
            tokio::spawn(async move {
                while runs.load(SeqCst) {
                    for (id, followed) in (0..).zip(&*followed) {
                        let least = followed.load(SeqCst);
                        let version = within("a call", shop.item(id)).await.unwrap().version;
                        assert!(version >= least, "item {id}: {version}, and all had followed to {least}");
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            })
        });
        Self { callers: callers.collect(), followed, runs }
    }

    /// One changes the items, as often as it takes; all must follow.
    async fn change(&self, fleet: &Fleet, shop: &Shop, others: (&Shop, &Process), version: u64) {
        for (id, followed) in (0..).zip(&*self.followed) {
            fleet.database.set_version(id, version).await;
            eventually("it is invalidated", async || shop.item_entry(id).invalidate().await.is_ok()).await;
            assert_eq!(shop.item(id).await.unwrap().version, version);
            eventually("another follows", async || others.0.item(id).await.unwrap().version == version).await;
            eventually("another process follows", async || others.1.item(id).await.version == version).await;
            followed.store(version, SeqCst);
        }
    }

    async fn end(self) {
        self.runs.store(false, SeqCst);
        for caller in self.callers {
            caller.await.unwrap();
        }
    }
}

/// Changes an item until Redis has it too: what was loaded while Redis could not be asked stays in memory.
/// That the other one has the same load shows that it read it.
async fn is_stored_again(fleet: &Fleet, shop: &Shop, other: &Shop, id: u64, version: u64) {
    fleet.database.set_version(id, version).await;
    eventually("it is stored", async || {
        let told = within("an answer", shop.item_entry(id).invalidate()).await;
        let found = within("a call", shop.item(id)).await.unwrap();
        assert_eq!(found.version, version);
        told.is_ok() && within("a call", other.item(id)).await.unwrap() == found
    })
    .await;
}

/// Killed by: noticing neither `MOVED`, nor the end of a subscription, nor that another node owns the slot.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_under_load() {
    let cluster = RedisCluster::start();
    let fleet = Fleet::at(cluster.url());
    let (shop, second, third) = (fleet.shop().await, fleet.shop().await, fleet.process());
    fleet.are_connected(&shop, &third, 9000).await;
    for id in 0..6 {
        shop.item(id).await.unwrap();
        third.item(id).await;
    }
    let load = Load::on(&[&shop, &second], 6);
    for id in 0..6 {
        let (key, from) = place(&cluster, id);
        let to = cluster.nodes.iter().find(|node| node.port() != from.port()).unwrap();
        let (slot, _) = cluster.owner(from, &key);
        cluster.move_slot(slot, from, to);
        load.change(&fleet, &shop, (&second, &third), id + 1).await;
        assert_eq!(place(&cluster, id).1.port(), to.port());
    }
    load.end().await;
    fleet.all_works(&all(&cluster), 20_000).await;
}

/// Of a node that has neither the namespace's stamp nor the function's: without those nothing can be read.
///
/// Killed by: links that all have to be there; not trying a missing node again; a breaker that stays open for what is
/// pending for the node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_down_does_not_take_the_others_with_it() {
    let cluster = RedisCluster::start();
    let fleet = Fleet::at(cluster.url());
    let (patient, shop, other) = (fleet.shop().await, fleet.hasty_shop().await, fleet.hasty_shop().await);
    for (first, shop) in [(9000, &patient), (9300, &shop), (9600, &other)] {
        fleet.is_used_again(shop, first).await;
    }
    for id in 0..30 {
        patient.item(id).await.unwrap();
    }
    let has_stamp = |node: &RedisServer| !node.keys("*:t:*:n").is_empty() || !node.keys("*:f:item").is_empty();
    let dead = cluster.nodes.iter().find(|node| !has_stamp(node)).unwrap();
    let (gone, left) = on(&cluster, dead, 0..30);
    assert!(gone.len() > 2 && left.len() > 2);
    for silent in [false, true] {
        if silent {
            dead.stop()
        } else {
            dead.kill()
        }
        let first = 1000 + 10_000 * u64::from(silent);
        for id in first..first + 30 {
            assert_eq!(within("a call", shop.item(id)).await.unwrap(), item(id, 1, 0));
        }
        // What is pending for the node keeps nobody from the others.
        let told = within("an answer", shop.item_entry(gone[0]).invalidate()).await;
        assert!(told.is_err_and(|error| error.is_pending()));
        let version = 1 + 10 * u64::from(silent);
        for &id in &left {
            is_stored_again(&fleet, &shop, &other, id, version).await;
        }
        if silent {
            dead.resume()
        } else {
            dead.restart()
        }
        for &id in &gone {
            is_stored_again(&fleet, &shop, &other, id, version + 1).await;
        }
        let stats = shop.cache.stats();
        assert_eq!((stats.pending_invalidations, stats.breaker), (0, BreakerState::Closed));
    }
    fleet.all_works(&all(&cluster), 30_000).await;
}

/// What cannot be sent to a node that is down is sent when it is back, and the other nodes are in use all the while. Killed by: a
/// breaker that opens for each invalidation that is pending; a pending one that is forgotten, or sent only after it was read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pending_for_a_node_keeps_no_call_from_the_others() {
    let cluster = RedisCluster::start();
    let fleet = Fleet::at(cluster.url());
    let (shop, other) = (fleet.shop().await, fleet.process());
    fleet.are_connected(&shop, &other, 9000).await;
    for id in 0..30 {
        shop.item(id).await.unwrap();
    }
    let has_stamp = |node: &RedisServer| !node.keys("*:t:*:n").is_empty() || !node.keys("*:f:item").is_empty();
    let dead = cluster.nodes.iter().find(|node| !has_stamp(node)).unwrap();
    let (gone, left) = on(&cluster, dead, 0..30);
    dead.stop();
    eventually("the others are in use without it", async || {
        let pending = shop.item_entry(gone[0]).invalidate().await.is_err_and(|error| error.is_pending());
        let sent = shop.item_entry(left[0]).invalidate().await.is_ok();
        let before = shop.cache.stats().redis_errors;
        let is_part =
            shop.item_entry(gone[0]).invalidate().await.is_err() && shop.item_entry(left[0]).get().await.is_none();
        pending && sent && is_part && shop.cache.stats().redis_errors == before + 1
    })
    .await;
    eventually("it is closed", async || shop.cache.stats().breaker == BreakerState::Closed).await;
    let (openings, degraded) = (shop.cache.stats().breaker_opened, shop.cache.stats().degraded_loads);
    for &id in &gone {
        fleet.database.set_version(id, 1).await;
        for changed in [
            within("an answer", shop.item_entry(id).invalidate()).await,
            within("an answer", shop.item_entry(id).put(item(id, 0, 1))).await,
        ] {
            assert!(changed.is_err_and(|error| error.is_pending()));
        }
        for &id in &left {
            within("a call", shop.item(id)).await.unwrap();
        }
    }
    let stats = shop.cache.stats();
    assert_eq!((stats.breaker_opened, stats.degraded_loads), (openings, degraded));
    assert_eq!(stats.pending_invalidations, gone.len() as u64);
    dead.resume();
    eventually("all is sent", async || shop.cache.stats().pending_invalidations == 0).await;
    for &id in &gone {
        assert_eq!(within("a call", shop.item(id)).await.unwrap().version, 1);
        eventually("another process follows", async || other.item(id).await.version == 1).await;
    }
}

/// Killed by: asking only the nodes of the URL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_takes_over_under_load() {
    let cluster = RedisCluster::start_with_replicas();
    // The only one that the processes are told of is the one that dies.
    let fleet = Fleet::at(format!("redis-cluster://127.0.0.1:{}", cluster.nodes[0].port()));
    let (shop, second, third) = (fleet.shop().await, fleet.shop().await, fleet.process());
    fleet.are_connected(&shop, &third, 9000).await;
    for id in 0..12 {
        shop.item(id).await.unwrap();
        third.item(id).await;
    }
    let load = Load::on(&[&shop, &second], 12);
    cluster.nodes[0].kill();
    load.change(&fleet, &shop, (&second, &third), 1).await;
    load.change(&fleet, &second, (&shop, &third), 2).await;
    load.end().await;
    assert!(cluster.nodes[3].info("replication").contains("role:master"));
    let fleet = Fleet::at(format!("redis-cluster://127.0.0.1:{}", cluster.nodes[1].port()));
    fleet.all_works(&cluster.nodes[1..].iter().collect::<Vec<_>>(), 20_000).await;
}
