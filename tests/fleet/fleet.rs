//! What a test starts: the Redis under test, and the database.

use std::time::Duration;

use hybridcache::{Builder, HybridCache};
use hybridcache_test_support::{RedisServer, Reply};

use crate::database::{Database, Item};
use crate::process::Process;
use crate::shop::Shop;
use crate::waiting::eventually;

pub(crate) struct Fleet {
    pub(crate) redis: RedisServer,
    pub(crate) database: Database,
    _database: RedisServer,
}

/// Where loads are counted exactly, the budget must not interfere: once it is spent a call loads for itself, as it
/// should, and two busy cores are enough to spend the usual 50 ms.
pub(crate) const GENEROUS: Duration = Duration::from_secs(5);

pub(crate) const NAMESPACE: &str = "fleet";

impl Fleet {
    pub(crate) fn start() -> Self {
        let server = RedisServer::start();
        Self { redis: RedisServer::start(), database: Database::at(server.port()), _database: server }
    }

    /// One more cache object with an empty memory: to the fleet, another process.
    pub(crate) async fn shop(&self) -> Shop {
        self.shop_at(&self.redis.url(), |builder| builder.redis_budget(GENEROUS)).await
    }

    /// With the budget that users have.
    pub(crate) async fn hasty_shop(&self) -> Shop {
        self.shop_at(&self.redis.url(), |builder| builder).await
    }

    pub(crate) async fn shop_with(&self, settings: impl FnOnce(Builder) -> Builder) -> Shop {
        self.shop_at(&self.redis.url(), |builder| settings(builder.redis_budget(GENEROUS))).await
    }

    pub(crate) async fn shop_at(&self, url: &str, settings: impl FnOnce(Builder) -> Builder) -> Shop {
        let builder = settings(HybridCache::builder().namespace(NAMESPACE).redis(url));
        Shop { cache: builder.build().await.unwrap(), database: self.database.clone() }
    }

    /// Another process.
    pub(crate) fn process(&self) -> Process {
        self.process_as("worker")
    }

    /// One that runs another test than the usual [`worker`](crate::worker).
    pub(crate) fn process_as(&self, worker: &str) -> Process {
        Process::start(worker, &self.redis.url(), self.database.port())
    }

    pub(crate) fn processes(&self, count: usize) -> Vec<Process> {
        (0..count).map(|_| self.process()).collect()
    }

    /// The key of an entry that is stored.
    pub(crate) fn entry_key(&self, function: &str, id: u64) -> String {
        let keys = self.redis.keys(&format!("*:{function}@*:{id}:e"));
        assert_eq!(keys.len(), 1, "{function} {id}: {keys:?}");
        keys[0].clone()
    }

    pub(crate) fn has_entry(&self, function: &str, id: u64) -> bool {
        !self.redis.keys(&format!("*:{function}@*:{id}:e")).is_empty()
    }

    pub(crate) fn entry(&self, function: &str, id: u64) -> Vec<u8> {
        self.bytes(&self.entry_key(function, id))
    }

    pub(crate) fn set_entry(&self, function: &str, id: u64, bytes: &[u8]) {
        self.set(&self.entry_key(function, id), bytes);
    }

    pub(crate) fn bytes(&self, key: &str) -> Vec<u8> {
        match self.redis.command(&[b"GET", key.as_bytes()]) {
            Reply::Bulk(bytes) => bytes,
            other => panic!("GET {key}: {other:?}"),
        }
    }

    pub(crate) fn set(&self, key: &str, bytes: &[u8]) {
        assert_eq!(self.redis.command(&[b"SET", key.as_bytes(), bytes]), Reply::Simple("OK".to_owned()));
    }

    /// Redis milliseconds.
    pub(crate) fn now(&self) -> u64 {
        let Reply::Array(parts) = self.redis.command(&[b"TIME"]) else { panic!("TIME was refused") };
        let parts: Vec<u64> = parts.into_iter().map(|part| part.into_text().unwrap().parse().unwrap()).collect();
        parts[0] * 1000 + parts[1] / 1000
    }

    /// Waits until that many processes wait for the lease of a key: a lease is a token and its waiters.
    pub(crate) async fn waiting(&self, count: usize) {
        eventually("processes wait for the lease", async || {
            let leases = self.redis.keys("*:l");
            leases.len() == 1
                && matches!(self.redis.command(&[b"STRLEN", leases[0].as_bytes()]),
                Reply::Integer(length) if length as usize == 32 + 16 * count)
        })
        .await;
    }

    /// Makes the only lease last for fifty seconds, so that who comes to wait for it gives up before it ends: only a message
    /// can bring a value. (Should the holder renew it in between, a test that ought to fail can pass, not the other way
    /// round.)
    pub(crate) fn prolong_lease(&self) {
        let leases = self.redis.keys("*:l");
        assert_eq!(leases.len(), 1, "{leases:?}");
        self.redis.command(&[b"PEXPIRE", leases[0].as_bytes(), b"50000"]);
    }

    /// Waits until no lease and no stage is left, and asserts that it was not time that removed them.
    pub(crate) async fn leaves_no_trace(&self) {
        eventually("no lease and no stage is left", async || {
            // Counts what has expired until it is removed, and only then it counts among the expired ones.
            let Reply::Integer(held) = self.redis.command(&[b"DBSIZE"]) else { panic!("DBSIZE was refused") };
            let keys = self.redis.keys("*");
            let is_trace = |key: &String| key.ends_with(":l") || key.contains(":s:");
            keys.len() as i64 == held && !keys.iter().any(is_trace)
        })
        .await;
        assert!(self.redis.info("stats").contains("expired_keys:0\r\n"), "a lease or a stage ended by itself");
    }

    /// The same where a load has stored nothing: its mark may be left, and ends by itself.
    pub(crate) async fn leaves_at_most_marks(&self) {
        eventually("no lease and no stage is left", async || {
            let is_mark = |key: &str| self.redis.command(&[b"STRLEN", key.as_bytes()]) == Reply::Integer(16);
            let leases = self.redis.keys("*:l");
            leases.iter().all(|key| is_mark(key)) && self.redis.keys("*:s:*").is_empty()
        })
        .await;
    }

    /// What Redis holds, as a process sees that has just started. Not counted as a load unless there is nothing.
    pub(crate) async fn in_redis(&self, id: u64) -> Option<Item> {
        self.shop().await.item_entry(id).get().await
    }
}

pub(crate) fn item(id: u64, load: u64, version: u64) -> Item {
    Item { id, load, version }
}
