//! Versions of a function run beside each other during a deploy: touching an entry touches it in every version that is in
//! use, however far apart their numbers are.

use hybridcache::hybrid_cached;

use crate::database::{Item, Order};
use crate::fleet::{Fleet, item};
use crate::process::{Process, parse};
use crate::recovery::connected_shop;
use crate::shop::{Failure, Shop};
use crate::waiting::{eventually, within};

/// Two neighbours, one farther off, and a date.
const VERSIONS: [u64; 4] = [1, 2, 9, 20_261_130];

/// One process for each of the versions, as deploys make them.
struct Deploy {
    fleet: Fleet,
    processes: Vec<Process>,
}

impl Deploy {
    /// Each version has loaded item 1.
    async fn loaded() -> Self {
        let fleet = Fleet::start();
        let processes = fleet.processes(VERSIONS.len());
        let deploy = Self { fleet, processes };
        for (load, version) in VERSIONS.iter().enumerate() {
            // Each stands at a key of its own, so each is a load.
            assert_eq!(deploy.price(*version).await, item(1, load as u64 + 1, 0));
        }
        assert_eq!(deploy.versions_in_redis(), VERSIONS);
        deploy
    }

    async fn price(&self, version: u64) -> Item {
        parse(&self.ask(version, "price").await)
    }

    async fn ask(&self, version: u64, action: &str) -> String {
        let process = VERSIONS.iter().position(|known| *known == version).unwrap();
        self.processes[process].ask(format!("{action} {version} 1")).await
    }

    fn versions_in_redis(&self) -> Vec<u64> {
        let is_there = |version: &u64| !self.fleet.redis.keys(&format!("*:price@{version}:1:e")).is_empty();
        VERSIONS.into_iter().filter(is_there).collect()
    }
}

/// Killed by: invalidating the own version alone, or the neighbouring ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalidating_deletes_every_version() {
    for (invalidations, by) in VERSIONS.into_iter().enumerate() {
        let deploy = Deploy::loaded().await;
        deploy.fleet.database.set_version(1, 1).await;
        assert_eq!(deploy.ask(by, "invalidate-price").await, "done");
        assert_eq!(deploy.versions_in_redis(), [0; 0], "{invalidations}");
        for version in VERSIONS {
            eventually("its memory follows", async || deploy.price(version).await.version == 1).await;
        }
        assert_eq!(deploy.fleet.database.loads(1).await, 8);
    }
}

/// Killed by: marking the own version alone, or the neighbouring ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expiring_marks_every_version() {
    let deploy = Deploy::loaded().await;
    deploy.fleet.database.set_version(1, 1).await;
    assert_eq!(deploy.ask(9, "expire-price").await, "done");
    let marked = |version: u64| {
        let key = deploy.fleet.redis.keys(&format!("*:price@{version}:1:e")).remove(0);
        deploy.fleet.bytes(&key)[crate::envelope::MUTABLE] == 1
    };
    assert_eq!(VERSIONS.map(marked), [true; 4]);
    for version in VERSIONS {
        eventually("it is refreshed", async || deploy.price(version).await.version == 1).await;
    }
}

/// Killed by: a put that reaches the own version alone, or the neighbouring ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn putting_deletes_every_other_version() {
    let deploy = Deploy::loaded().await;
    deploy.fleet.database.set_version(1, 1).await;
    assert_eq!(deploy.processes[1].ask("put-price 2 1 9").await, "done");
    assert_eq!(deploy.versions_in_redis(), [2]);
    assert_eq!(deploy.price(2).await, item(1, 0, 9));
    for version in [1, 9, 20_261_130] {
        eventually("its memory follows", async || deploy.price(version).await.version == 1).await;
    }
}

/// Killed by: a put, or an invalidation, that leaves the leases of other versions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_under_another_version_is_fenced_off() {
    for action in ["invalidate-price 2 1", "expire-price 2 1", "put-price 2 1 9"] {
        for other in [1, 20_261_130] {
            let fleet = Fleet::start();
            let processes = fleet.processes(2);
            fleet.database.order(1, &[Order::Hold]).await;
            let outdated = processes[0].ask(format!("price {other} 1"));
            fleet.database.begun(1, 1).await;
            fleet.database.set_version(1, 1).await;
            assert_eq!(processes[1].ask(action).await, "done");
            fleet.database.release(1, 1).await;
            assert_eq!(parse(&outdated.await), item(1, 1, 0));
            assert_eq!(fleet.redis.keys(&format!("*:price@{other}:1:e")), [""; 0], "{action}");
            assert_eq!(parse(&processes[0].ask(format!("price {other} 1")).await), item(1, 2, 1), "{action}");
        }
    }
}

/// The process that invalidates has read the function's stamp before the other version came up. Killed by: touching only
/// the versions that this process knows of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_came_up_a_moment_ago_is_reached() {
    let fleet = Fleet::start();
    let processes = fleet.processes(2);
    assert_eq!(parse(&processes[0].ask("price 1 1").await), item(1, 1, 0));
    assert_eq!(processes[0].ask("invalidate-price 1 1").await, "done");
    for round in 0..10 {
        let load = 2 * round + 2;
        // The message of the last invalidation may still be under way.
        eventually("its memory follows", async || parse(&processes[1].ask("price 9 1").await) == item(1, load, round))
            .await;
        fleet.database.set_version(1, round + 1).await;
        assert_eq!(processes[0].ask("invalidate-price 1 1").await, "done");
        assert_eq!(fleet.redis.keys("*:price@9:1:e"), [""; 0]);
        assert_eq!(parse(&processes[0].ask("price 1 1").await), item(1, load + 1, round + 1));
        assert_eq!(processes[0].ask("invalidate-price 1 1").await, "done");
    }
}

/// Redis loses the function's stamp, and with it which versions there are, while a process of another version knows its
/// number still. Killed by: an invalidation that tells nobody that the number is void.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_stamp_leaves_no_version_behind() {
    for recreated in [false, true] {
        let fleet = Fleet::start();
        let processes = fleet.processes(3);
        assert_eq!(parse(&processes[0].ask("price 1 1").await), item(1, 1, 0));
        assert_eq!(parse(&processes[1].ask("price 9 1").await), item(1, 2, 0));
        let stamp = fleet.redis.keys("hc2:{fleet:t:*}:f:price").remove(0);
        fleet.redis.command(&[b"DEL", stamp.as_bytes()]);
        if recreated {
            // By one that knows nothing of version 9.
            assert_eq!(parse(&processes[2].ask("price 2 2").await), item(2, 1, 0));
        }
        fleet.database.set_version(1, 1).await;
        assert_eq!(processes[2].ask("invalidate-price 2 1").await, "done");
        eventually("version 9 follows", async || parse(&processes[1].ask("price 9 1").await).version == 1).await;
        for _ in 0..3 {
            assert_eq!(parse(&processes[1].ask("price 9 1").await).version, 1);
        }
    }
}

impl Shop {
    #[hybrid_cached(name = "tariff", version = 1, ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn tariff_1(&self, id: u64) -> Result<Item, Failure> {
        self.load(id).await
    }

    #[hybrid_cached(name = "tariff", version = 2, ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn tariff_2(&self, id: u64) -> Result<Item, Failure> {
        self.load(id).await
    }
}

/// A process that serves an old and a new interface. The versions are told apart by their number in the key, so neither
/// needs to stay out of Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_versions_in_one_process_both_use_redis() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    assert_eq!(shop.tariff_1(1).await.unwrap(), item(1, 1, 0));
    assert_eq!(shop.tariff_2(1).await.unwrap(), item(1, 2, 0));
    assert_eq!(fleet.redis.keys("*:tariff@*:1:e").len(), 2);
    fleet.database.set_version(1, 1).await;
    shop.tariff_1_entry(1).invalidate().await.unwrap();
    assert_eq!(within("a call", shop.tariff_2(1)).await.unwrap(), item(1, 3, 1));
    assert_eq!(within("a call", shop.tariff_1(1)).await.unwrap(), item(1, 4, 1));
}

/// Whichever of the two versions stores after the stamp was lost, the other process reaches it.
async fn is_reached_after_a_lost_stamp<F>(change: impl Fn(Shop) -> F)
where
    F: Future<Output = Result<(), hybridcache::Error>>,
{
    let fleet = Fleet::start();
    let (shop, other) = (connected_shop(&fleet).await, connected_shop(&fleet).await);
    shop.tariff_1(1).await.unwrap();
    shop.tariff_2(1).await.unwrap();
    let stamp = fleet.redis.keys("hc2:{fleet:t:*}:f:tariff").remove(0);
    fleet.redis.command(&[b"DEL", stamp.as_bytes()]);
    within("the change", change(shop.clone())).await.unwrap();
    // The process has known the number that was lost for less than the ten seconds after which it reads it again.
    shop.tariff_2(1).await.unwrap();
    assert_eq!(fleet.redis.keys("*:tariff@2:1:e").len(), 1);
    fleet.database.set_version(1, 1).await;
    other.tariff_1_entry(1).invalidate().await.unwrap();
    assert_eq!(fleet.redis.keys("*:tariff@2:1:e"), [""; 0], "the stamp names version 2");
    assert_eq!(fleet.shop().await.tariff_2(1).await.unwrap().version, 1);
}

/// Redis loses the stamp that two versions of one process share. The stamp that the invalidation creates names the version that
/// was invalidated, and no other. Killed by: an invalidation that throws away the number that it has created.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_is_registered_again_after_an_invalidation_has_created_the_stamp() {
    is_reached_after_a_lost_stamp(|shop| async move { shop.tariff_1_entry(1).invalidate().await }).await;
}

/// Killed by: a put whose first step throws it away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_is_registered_again_after_a_put_has_created_the_stamp() {
    is_reached_after_a_lost_stamp(|shop| async move { shop.tariff_1_entry(1).put(item(1, 0, 9)).await }).await;
}

/// A put under a number that was lost would be a miss for every process. Killed by: a put that publishes under the stamps that it
/// captured before its first step, whatever that has found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_after_a_lost_stamp_is_stored() {
    let fleet = Fleet::start();
    let (shop, other) = (connected_shop(&fleet).await, connected_shop(&fleet).await);
    shop.tariff_1(1).await.unwrap();
    let stamp = fleet.redis.keys("hc2:{fleet:t:*}:f:tariff").remove(0);
    fleet.redis.command(&[b"DEL", stamp.as_bytes()]);
    shop.tariff_1_entry(1).put(item(1, 0, 9)).await.unwrap();
    assert_eq!(other.tariff_1_entry(1).get().await, Some(item(1, 0, 9)));
    assert_eq!(shop.tariff_1(1).await.unwrap(), item(1, 0, 9));
}
