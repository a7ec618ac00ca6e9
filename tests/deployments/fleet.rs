//! What a test starts beside its Redis, and what must work whatever kind of Redis it is.

use std::time::Duration;

use hybridcache::HybridCache;
use hybridcache_test_support::{RedisServer, Reply};

use crate::database::{Database, Item, Order};
use crate::process::Process;
use crate::shop::Shop;
use crate::waiting::{eventually, within};

/// Where loads are counted exactly, the budget must not interfere: see `tests/fleet`.
pub(crate) const GENEROUS: Duration = Duration::from_secs(5);

pub(crate) const NAMESPACE: &str = "deployments";

/// The database and the URL of the Redis.
pub(crate) struct Fleet {
    url: String,
    pub(crate) database: Database,
    _database: RedisServer,
}

impl Fleet {
    pub(crate) fn at(url: impl Into<String>) -> Self {
        let server = RedisServer::start();
        Self { url: url.into(), database: Database::at(server.port()), _database: server }
    }

    /// One more cache object with an empty memory: to the fleet, another process.
    pub(crate) async fn shop(&self) -> Shop {
        self.shop_at(&self.url).await
    }

    pub(crate) async fn shop_at(&self, url: &str) -> Shop {
        let builder = HybridCache::builder().namespace(NAMESPACE).redis(url).redis_budget(GENEROUS);
        Shop { cache: builder.build().await.unwrap(), database: self.database.clone() }
    }

    /// With the budget that users have.
    pub(crate) async fn hasty_shop(&self) -> Shop {
        let builder = HybridCache::builder().namespace(NAMESPACE).redis(self.url.as_str());
        Shop { cache: builder.build().await.unwrap(), database: self.database.clone() }
    }

    /// Another process.
    pub(crate) fn process(&self) -> Process {
        Process::start("worker", &self.url, self.database.port())
    }

    /// Whatever was written has come to Redis: a process that has just started reads it.
    pub(crate) async fn in_redis(&self, id: u64) -> Option<Item> {
        self.shop().await.item_entry(id).get().await
    }

    /// Calls keys from `first` on until what one shop loads is read by another.
    pub(crate) async fn is_used_again(&self, shop: &Shop, first: u64) {
        let mut id = first;
        eventually("Redis is used again", async || {
            id += 1;
            let found = within("a call", shop.item(id)).await.unwrap();
            assert_eq!(found.id, id);
            self.in_redis(id).await == Some(found)
        })
        .await;
    }

    /// Everything that crosses between processes, on keys from `first` on: one load per key, reading what another stored,
    /// joining another's load, invalidating, expiring, putting, tags, functions, the whole namespace.
    ///
    /// `servers` are those of which one holds a key.
    pub(crate) async fn all_works(&self, servers: &[&RedisServer], first: u64) {
        let shop = self.shop().await;
        let other = self.process();
        let errors = self.are_connected(&shop, &other, first + 500).await;
        self.one_load_for_both(&shop, &other, first).await;
        self.joins_across(servers, &shop, &other, first + 100).await;
        self.invalidations_cross(&shop, &other, first + 200).await;
        self.groups_cross(&shop, first + 300).await;
        self.staged_values_cross(&shop, first + 400).await;
        assert_eq!((shop.cache.stats().redis_errors, other.stat("redis_errors").await), errors);
    }

    /// Waits until both use Redis, be the machine ever so busy: how many errors they have had until then.
    pub(crate) async fn are_connected(&self, shop: &Shop, other: &Process, first: u64) -> (u64, u64) {
        let errors = async || (shop.cache.stats().redis_errors, other.stat("redis_errors").await);
        let (mut id, mut before) = (first, errors().await);
        eventually("both use Redis", async || {
            id += 2;
            shop.item(id).await.unwrap();
            other.item(id + 1).await;
            let last = std::mem::replace(&mut before, errors().await);
            before == last
        })
        .await;
        before
    }

    /// Values that are too large to be arguments of the script that publishes them.
    async fn staged_values_cross(&self, shop: &Shop, first: u64) {
        let text = "x".repeat(8 << 10);
        for id in first..first + 10 {
            within("a put", shop.text_entry(id).put(text.clone())).await.unwrap();
            assert_eq!(self.shop().await.text_entry(id).get().await, Some(text.clone()));
        }
    }

    /// Many keys: in a cluster, on all nodes.
    async fn one_load_for_both(&self, shop: &Shop, other: &Process, first: u64) {
        for id in first..first + 40 {
            let (here, there) = tokio::join!(shop.item(id), other.item(id));
            assert_eq!(here.unwrap(), item(id, 1, 0));
            assert_eq!(there, item(id, 1, 0));
            assert_eq!(self.database.loads(id).await, 1);
        }
    }

    /// On several keys: in a cluster, on all nodes.
    async fn joins_across(&self, servers: &[&RedisServer], shop: &Shop, other: &Process, first: u64) {
        for id in first..first + 5 {
            self.database.order(id, &[Order::Hold]).await;
            let loading = {
                let shop = shop.clone();
                tokio::spawn(async move { shop.item(id).await.unwrap() })
            };
            self.database.begun(id, 1).await;
            let waiting = tokio::spawn(other.item(id));
            eventually("the other process waits for the lease", async || has_waiter(servers)).await;
            self.database.release(id, 1).await;
            assert_eq!(within("the load", loading).await.unwrap(), item(id, 1, 0));
            assert_eq!(within("who waits for it", waiting).await.unwrap(), item(id, 1, 0));
            assert_eq!(self.database.loads(id).await, 1);
        }
    }

    async fn invalidations_cross(&self, shop: &Shop, other: &Process, first: u64) {
        for id in first..first + 10 {
            assert_eq!((shop.item(id).await.unwrap(), other.item(id).await), (item(id, 1, 0), item(id, 1, 0)));
            self.database.set_version(id, 1).await;
            shop.item_entry(id).invalidate().await.unwrap();
            eventually("the other's memory follows", async || other.item(id).await.version == 1).await;
            assert_eq!(shop.item(id).await.unwrap(), item(id, 2, 1));
            self.database.set_version(id, 2).await;
            assert_eq!(within("an answer", other.ask(format!("expire {id}"))).await, "done");
            eventually("it is refreshed", async || shop.item(id).await.unwrap().version == 2).await;
            shop.item_entry(id).put(item(id, 0, 3)).await.unwrap();
            eventually("the other reads it", async || other.item(id).await == item(id, 0, 3)).await;
        }
    }

    async fn groups_cross(&self, shop: &Shop, first: u64) {
        let other = self.shop().await;
        let ids = first..first + 10;
        let mut version = 0;
        for group in ["tag", "function", "namespace"] {
            version += 1;
            for id in ids.clone() {
                let (here, there) = (shop.offer(first, id).await.unwrap(), other.offer(first, id).await.unwrap());
                assert_eq!(here, there);
                self.database.set_version(id, version).await;
            }
            match group {
                "tag" => shop.cache.invalidate_tag(&format!("shelf:{first}")).await.unwrap(),
                "function" => shop.cache.invalidate_function("offer").await.unwrap(),
                _ => shop.cache.clear().await.unwrap(),
            }
            for id in ids.clone() {
                assert_eq!(shop.offer(first, id).await.unwrap().version, version, "{group}");
                let follows = async || other.offer(first, id).await.unwrap().version == version;
                eventually("the other's memory follows", follows).await;
            }
        }
    }
}

/// Whether somebody waits for the only lease, which is a token and its waiters. It then lasts for ten minutes: only a
/// message can wake who waits. (Should the holder renew it in between, a test that ought to fail can pass, not the other
/// way round.)
fn has_waiter(servers: &[&RedisServer]) -> bool {
    servers.iter().any(|server| {
        server.keys("*:l").iter().any(|lease| {
            let waits = server.command(&[b"STRLEN", lease.as_bytes()]) == Reply::Integer(32 + 16);
            waits && server.command(&[b"PEXPIRE", lease.as_bytes(), b"600000"]) == Reply::Integer(1)
        })
    })
}

pub(crate) fn item(id: u64, load: u64, version: u64) -> Item {
    Item { id, load, version }
}
