//! Two versions of a function run beside each other during a deploy: touching an entry touches those of the neighbouring
//! versions.

use hybridcache::{CacheEntry, hybrid_cached};

use crate::database::{Item, Order};
use crate::fleet::{Fleet, item};
use crate::process::{Process, parse};
use crate::shop::{Failure, Shop};
use crate::waiting::{eventually, within};

impl Shop {
    #[hybrid_cached(name = "price", version = 1, ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn price_1(&self, id: u64) -> Result<Item, Failure> {
        self.database.load(id).await
    }

    #[hybrid_cached(name = "price", version = 2, ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn price_2(&self, id: u64) -> Result<Item, Failure> {
        self.database.load(id).await
    }

    #[hybrid_cached(name = "price", version = 3, ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn price_3(&self, id: u64) -> Result<Item, Failure> {
        self.database.load(id).await
    }

    #[hybrid_cached(name = "price", version = 4, ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn price_4(&self, id: u64) -> Result<Item, Failure> {
        self.database.load(id).await
    }

    pub(crate) async fn price(&self, version: u64, id: u64) -> Result<Item, Failure> {
        match version {
            1 => self.price_1(id).await,
            2 => self.price_2(id).await,
            3 => self.price_3(id).await,
            _ => self.price_4(id).await,
        }
    }

    pub(crate) fn price_handle(&self, version: u64, id: u64) -> CacheEntry<Result<Item, Failure>> {
        match version {
            1 => self.price_1_entry(id),
            2 => self.price_2_entry(id),
            3 => self.price_3_entry(id),
            _ => self.price_4_entry(id),
        }
    }
}

/// One process for each of the versions 1 to 4, as deploys make them. Process n has version n + 1.
struct Deploy {
    fleet: Fleet,
    processes: Vec<Process>,
}

impl Deploy {
    /// Each version has loaded item 1.
    async fn of_four_versions() -> Self {
        let fleet = Fleet::start();
        let processes = fleet.processes(4);
        let deploy = Self { fleet, processes };
        for version in 1..=4 {
            // Each stands at a key of its own, so each is a load.
            assert_eq!(deploy.price(version).await, item(1, version, 0));
        }
        assert_eq!(deploy.versions_in_redis(), [1, 2, 3, 4]);
        deploy
    }

    async fn price(&self, version: u64) -> Item {
        parse(&self.ask(version, "price").await)
    }

    async fn ask(&self, version: u64, action: &str) -> String {
        self.processes[version as usize - 1].ask(format!("{action} {version} 1")).await
    }

    fn versions_in_redis(&self) -> Vec<u64> {
        (1..=4).filter(|version| !self.fleet.redis.keys(&format!("*:price@{version}:1:e")).is_empty()).collect()
    }
}

/// Killed by: invalidating the own version alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalidating_deletes_the_neighbours_too() {
    let deploy = Deploy::of_four_versions().await;
    deploy.fleet.database.set_version(1, 1).await;
    assert_eq!(deploy.ask(2, "invalidate-price").await, "done");
    assert_eq!(deploy.versions_in_redis(), [4]);
    for version in 1..=3 {
        eventually("its memory follows", async || deploy.price(version).await.version == 1).await;
    }
    assert_eq!(deploy.fleet.database.loads(1).await, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expiring_marks_the_neighbours_too() {
    let deploy = Deploy::of_four_versions().await;
    deploy.fleet.database.set_version(1, 1).await;
    assert_eq!(deploy.ask(2, "expire-price").await, "done");
    let marked = |version: u64| {
        let key = deploy.fleet.redis.keys(&format!("*:price@{version}:1:e")).remove(0);
        deploy.fleet.bytes(&key)[crate::envelope::MUTABLE] == 1
    };
    assert_eq!([1, 2, 3, 4].map(marked), [true, true, true, false]);
    for version in 1..=3 {
        eventually("it is refreshed", async || deploy.price(version).await.version == 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn putting_deletes_the_neighbours() {
    let deploy = Deploy::of_four_versions().await;
    deploy.fleet.database.set_version(1, 1).await;
    assert_eq!(deploy.processes[1].ask("put-price 2 1 9").await, "done");
    assert_eq!(deploy.versions_in_redis(), [2, 4]);
    assert_eq!(deploy.price(2).await, item(1, 0, 9));
    for version in [1, 3] {
        eventually("its memory follows", async || deploy.price(version).await.version == 1).await;
    }
}

/// Killed by: a put, or an invalidation, that leaves the neighbours' leases.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_under_the_neighbouring_version_is_fenced_off() {
    for action in ["invalidate-price 2 1", "expire-price 2 1", "put-price 2 1 9"] {
        for neighbour in [1, 3] {
            let fleet = Fleet::start();
            let processes = fleet.processes(2);
            fleet.database.order(1, &[Order::Hold]).await;
            let outdated = processes[0].ask(format!("price {neighbour} 1"));
            fleet.database.begun(1, 1).await;
            fleet.database.set_version(1, 1).await;
            assert_eq!(processes[1].ask(action).await, "done");
            fleet.database.release(1, 1).await;
            assert_eq!(parse(&outdated.await), item(1, 1, 0));
            assert_eq!(fleet.redis.keys(&format!("*:price@{neighbour}:1:e")), [""; 0], "{action}");
            assert_eq!(parse(&processes[0].ask(format!("price {neighbour} 1")).await), item(1, 2, 1), "{action}");
        }
    }
}

impl Shop {
    #[hybrid_cached(name = "tariff", version = 1, ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn tariff_1(&self, id: u64) -> Result<Item, Failure> {
        self.database.load(id).await
    }

    #[hybrid_cached(name = "tariff", version = 2, ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn tariff_2(&self, id: u64) -> Result<Item, Failure> {
        self.database.load(id).await
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
