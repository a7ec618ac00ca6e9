//! `#[hybrid_evict]` over Redis: other processes see a write too, and a writer never fails or hangs for it.

use std::sync::{Arc, Mutex};
use std::thread;

use hybridcache::hybrid_evict;
use tokio::sync::Notify;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::database::OutOfStock;
use crate::fleet::{Fleet, item};
use crate::shop::{Failure, Shop};
use crate::waiting::{eventually, within};

impl Shop {
    #[hybrid_evict(self.item(id), Self::brief(self, id), tags = ["shelf:{shelf}"], cache = self.cache)]
    async fn restock(&self, shelf: u64, id: u64, version: u64) -> Result<u64, Failure> {
        if version == 0 {
            return Err(OutOfStock.into());
        }
        self.database.set_version(id, version).await;
        Ok(version)
    }

    /// Writes, and does not return before it may.
    #[hybrid_evict(self.item(id))]
    async fn restock_slowly(self, id: u64, written: Arc<Notify>, may_return: Arc<Notify>) {
        self.database.set_version(id, 1).await;
        written.notify_one();
        may_return.notified().await;
    }

    async fn fill(&self) {
        for called in [self.item(1).await, self.brief(1).await, self.offer(3, 1).await] {
            assert_eq!(called.unwrap().version, 0);
        }
    }

    /// Which of what `restock` evicts is in memory, or in Redis.
    async fn cached(&self) -> [bool; 3] {
        [
            self.item_entry(1).get().await.is_some(),
            self.brief_entry(1).get().await.is_some(),
            self.offer_entry(3, 1).get().await.is_some(),
        ]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_processes_see_what_was_written() {
    let fleet = Fleet::start();
    let (shop, process) = (fleet.shop().await, fleet.process());
    shop.fill().await;
    assert_eq!(process.item(1).await.version, 0);
    assert_eq!(process.ask("offer 3 1").await, "1 3 0");
    shop.restock(3, 1, 7).await.unwrap();
    for called in [shop.item(1).await, shop.brief(1).await, shop.offer(3, 1).await] {
        assert_eq!(called.unwrap().version, 7, "the writer reads what it wrote");
    }
    eventually("the other's memory follows", async || process.item(1).await.version == 7).await;
    eventually("the tag's too", async || process.ask("offer 3 1").await.ends_with(" 7")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_leaves_redis_alone() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    shop.fill().await;
    shop.restock(3, 1, 0).await.unwrap_err();
    assert_eq!(fleet.shop().await.cached().await, [true; 3]);
    assert_eq!(shop.cache.stats().invalidations, 0);
}

/// Killed by: targets after the first that are left out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_down_neither_fails_nor_hangs_the_writer() {
    for stopped in [false, true] {
        let fleet = Fleet::start();
        let shop = fleet.shop().await;
        shop.fill().await;
        let before = shop.cache.stats();
        if stopped {
            fleet.redis.stop();
        } else {
            fleet.redis.kill();
        }
        assert_eq!(within("the writer", shop.restock(3, 1, 7)).await.unwrap(), 7);
        let after = shop.cache.stats();
        assert_eq!(after.invalidations - before.invalidations, 3);
        assert!(after.redis_errors - before.redis_errors >= 3, "{after:?}");
        assert_eq!(within("a call", shop.item(1)).await.unwrap().version, 7, "this process has forgotten it");
    }
}

/// Killed by: an eviction that the function does not wait for; one target after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_writer_returns_when_everything_is_invalidated() {
    let fleet = Fleet::start();
    for _ in 0..20 {
        let shop = fleet.shop().await;
        fleet.database.set_version(1, 0).await;
        shop.fill().await;
        fleet.redis.stop();
        let writer = tokio::spawn({
            let shop = shop.clone();
            async move { shop.restock(3, 1, 7).await.unwrap() }
        });
        eventually("all three are on their way", async || shop.cache.stats().invalidations == 3).await;
        let is_early = writer.is_finished();
        fleet.redis.resume();
        within("the writer", writer).await.unwrap();
        // On a machine so busy that the commands ran out of time, nothing can be said.
        if shop.cache.stats().redis_errors == 0 {
            assert!(!is_early);
            assert_eq!(fleet.shop().await.cached().await, [false; 3]);
            return;
        }
    }
    panic!("Redis never answered in time");
}

/// Killed by: an eviction in the caller's own task; a dropped one that is begun and left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_eviction_goes_on_without_its_caller() {
    for still_writing in [false, true] {
        let fleet = Fleet::start();
        let shop = fleet.shop().await;
        shop.fill().await;
        fleet.redis.stop();
        let (written, may_return) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let writer = shop.clone().restock_slowly(1, written.clone(), may_return.clone());
        let writer = tokio::spawn(writer);
        within("the write", written.notified()).await;
        let errors = shop.cache.function_stats("item").redis_errors;
        if !still_writing {
            may_return.notify_one();
            eventually("the eviction is on its way", async || shop.cache.stats().invalidations == 1).await;
        }
        writer.abort();
        assert!(writer.await.unwrap_err().is_cancelled());
        let ended = async || shop.cache.function_stats("item").redis_errors > errors;
        eventually("it ends, if only by failing", ended).await;
    }
}

/// Nobody knows whether it has written. Killed by: a dropped eviction that does nothing where no runtime is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_is_given_up_evicts_all_the_same() {
    for on_another_thread in [false, true] {
        let fleet = Fleet::start();
        let (shop, process) = (fleet.shop().await, fleet.process());
        shop.item(1).await.unwrap();
        assert_eq!(process.item(1).await, item(1, 1, 0));
        let (written, may_return) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let mut writer = Box::pin(shop.clone().restock_slowly(1, written.clone(), may_return));
        tokio::select! {
            () = &mut writer => panic!("it may not return"),
            () = within("the write", written.notified()) => {}
        }
        assert_eq!(process.item(1).await, item(1, 1, 0), "not evicted before it has returned");
        if on_another_thread {
            thread::spawn(move || drop(writer)).join().unwrap();
        } else {
            drop(writer);
        }
        eventually("the write is seen", async || process.item(1).await.version == 1).await;
    }
}

/// Keeps what the engine says after writes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{}={value:?} ", field.name()));
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("hybridcache")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        if line.0.contains("kind=\"eviction_pending\"") {
            self.0.lock().unwrap().push(line.0);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// As a warning, or in the second after one for debugging. Killed by: a failure that nobody logs.
#[tokio::test]
async fn an_invalidation_that_was_not_sent_is_logged() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    let log = Log::default();
    let _logging = tracing::subscriber::set_default(log.clone());
    shop.restock(3, 1, 7).await.unwrap();
    assert!(log.0.lock().unwrap().is_empty());
    fleet.redis.kill();
    shop.restock(3, 1, 8).await.unwrap();
    let lines = log.0.lock().unwrap().clone();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for named in ["item", "brief", "shelf:3"] {
        assert!(lines.iter().any(|line| line.contains(named)), "{named}: {lines:?}");
    }
}
