//! Loads without a lease while Redis is down: so many keys at once, one load per key, nobody waits for himself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use hybridcache::{HybridCache, hybrid_cached};
use hybridcache_test_support::RedisServer;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::shop::Failure;
use crate::waiting::{eventually, within};

/// A cache whose Redis is down, and loads that stand at a gate.
#[derive(Clone, Debug)]
struct Warehouse {
    cache: HybridCache,
    gate: Arc<Gate>,
}

#[derive(Debug)]
struct Gate {
    /// Each load takes one and keeps it.
    passes: Semaphore,
    standing: AtomicUsize,
    most: AtomicUsize,
    loads: AtomicUsize,
}

impl Warehouse {
    async fn with(degraded_loads: usize) -> Self {
        let redis = RedisServer::start();
        let builder = HybridCache::builder().redis(redis.url()).degraded_loads(degraded_loads);
        let cache = builder.build().await.unwrap();
        drop(redis);
        let gate = Gate {
            passes: Semaphore::new(0),
            standing: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            loads: AtomicUsize::new(0),
        };
        Self { cache, gate: Arc::new(gate) }
    }

    async fn pass(&self) {
        let gate = &self.gate;
        gate.loads.fetch_add(1, SeqCst);
        gate.most.fetch_max(gate.standing.fetch_add(1, SeqCst) + 1, SeqCst);
        gate.passes.acquire().await.unwrap().forget();
        gate.standing.fetch_sub(1, SeqCst);
    }

    fn let_pass(&self, count: usize) {
        self.gate.passes.add_permits(count);
    }

    async fn standing(&self, count: usize) {
        eventually("loads stand at the gate", async || self.gate.standing.load(SeqCst) == count).await;
    }

    /// Waits until that many loads without a lease have been begun, or wait for their turn.
    async fn degraded(&self, count: u64) {
        eventually("loads go on without Redis", async || self.cache.stats().degraded_loads == count).await;
    }

    #[hybrid_cached(name = "crate", ttl = 1h, key = "{id}", skip(self), cache = self.cache)]
    async fn crate_of(&self, id: u64) -> u64 {
        self.pass().await;
        id
    }

    #[hybrid_cached(name = "timed_crate", timeout = 700ms, ttl = 1h, key = "{id}", skip(self), cache = self.cache)]
    async fn timed_crate(&self, id: u64) -> Result<u64, Failure> {
        self.gate.loads.fetch_add(1, SeqCst);
        Ok(id)
    }

    /// Soon stale. How many loads there were.
    #[hybrid_cached(name = "price_tag", fresh_for = 20ms, ttl = 1h, key = "{id}", skip(self), cache = self.cache)]
    async fn price_tag(&self, id: u64) -> usize {
        let _ = id;
        self.gate.loads.load(SeqCst)
    }

    /// Soon stale, and at the gate.
    #[hybrid_cached(name = "label", fresh_for = 20ms, ttl = 1h, key = "{id}", skip(self), cache = self.cache)]
    async fn label(&self, id: u64) -> u64 {
        self.pass().await;
        id
    }

    #[hybrid_cached(name = "parcel", timeout = 30s, ttl = 1h, key = "{id}", skip(self), cache = self.cache)]
    async fn parcel(&self, id: u64) -> Result<u64, Failure> {
        Ok(10 * id)
    }

    /// First the gate, then a parcel.
    #[hybrid_cached(name = "pallet", ttl = 1h, key = "{id}-{parcel}", skip(self), cache = self.cache)]
    async fn pallet(&self, id: u64, parcel: u64) -> u64 {
        self.pass().await;
        id + self.parcel(parcel).await.unwrap()
    }

    /// Looks at so many labels, stale or not.
    #[hybrid_cached(name = "list", ttl = 1h, key = "{count}", skip(self), cache = self.cache)]
    async fn list(&self, count: u64) -> u64 {
        let mut sum = 0;
        for id in 0..count {
            sum += self.label(id).await;
        }
        sum
    }

    fn spawn_crate(&self, id: u64) -> JoinHandle<u64> {
        let warehouse = self.clone();
        tokio::spawn(async move { warehouse.crate_of(id).await })
    }

    fn spawn_pallet(&self, id: u64, parcel: u64) -> JoinHandle<u64> {
        let warehouse = self.clone();
        tokio::spawn(async move { warehouse.pallet(id, parcel).await })
    }

    fn spawn_parcel(&self, id: u64) -> JoinHandle<u64> {
        let warehouse = self.clone();
        tokio::spawn(async move { warehouse.parcel(id).await.unwrap() })
    }
}

/// Killed by: no semaphore; a turn that ends when the load begins; a turn for each caller rather than each key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_keys_are_loaded_at_once() {
    let warehouse = Warehouse::with(3).await;
    let callers: Vec<_> = (0..20).flat_map(|id| [warehouse.spawn_crate(id), warehouse.spawn_crate(id)]).collect();
    warehouse.degraded(20).await;
    eventually("the others join", async || warehouse.cache.stats().joined == 20).await;
    for passed in 0..20 {
        warehouse.standing(3.min(20 - passed)).await;
        warehouse.let_pass(1);
    }
    for (number, caller) in callers.into_iter().enumerate() {
        assert_eq!(within("a caller", caller).await.unwrap(), number as u64 / 2);
    }
    assert_eq!(warehouse.gate.most.load(SeqCst), 3);
    assert_eq!(warehouse.gate.loads.load(SeqCst), 20, "one for each key");
    let stats = warehouse.cache.stats();
    assert_eq!((stats.loads, stats.degraded_loads, stats.timeouts), (20, 20, 0));
}

/// Killed by: a turn for loads that other loads wait for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_for_other_loads_need_no_turn() {
    for limit in [1, 3] {
        let warehouse = Warehouse::with(limit).await;
        let pallets: Vec<_> = (0..limit as u64).map(|id| warehouse.spawn_pallet(id, id + 100)).collect();
        warehouse.standing(limit).await;
        warehouse.let_pass(limit);
        for (id, pallet) in pallets.into_iter().enumerate() {
            let id = id as u64;
            assert_eq!(within("a pallet", pallet).await.unwrap(), id + 10 * (id + 100));
        }
    }
}

/// The inner load was begun by somebody else, and waits for its turn behind the outer ones. Killed by: no hurry; a hurry
/// that wakes nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nested_load_that_others_wait_for_skips_the_queue() {
    let warehouse = Warehouse::with(3).await;
    let pallets: Vec<_> = (0..3).map(|id| warehouse.spawn_pallet(id, 7)).collect();
    warehouse.standing(3).await;
    let parcel = warehouse.spawn_parcel(7);
    warehouse.degraded(4).await;
    assert_eq!(warehouse.cache.stats().loads, 3, "the parcel has to wait");
    warehouse.let_pass(3);
    for (id, pallet) in pallets.into_iter().enumerate() {
        assert_eq!(within("a pallet", pallet).await.unwrap(), id as u64 + 70);
    }
    assert_eq!(within("the parcel", parcel).await.unwrap(), 70);
    assert_eq!(warehouse.cache.stats().loads, 4);
}

/// Somebody joins in a hurry before the flight comes to wait: the same storm, many times over. Killed by: a hurry that is
/// forgotten unless somebody waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nested_loads_in_a_storm_do_not_wait_for_each_other() {
    let warehouse = Warehouse::with(1).await;
    warehouse.let_pass(10_000);
    for round in 0..100 {
        let pallets: Vec<_> = (0..8).map(|id| warehouse.spawn_pallet(100 * round + id, round)).collect();
        let parcels: Vec<_> = (0..4).map(|_| warehouse.spawn_parcel(round)).collect();
        for caller in pallets.into_iter().chain(parcels) {
            within("a caller", caller).await.unwrap();
        }
    }
    assert_eq!(warehouse.gate.loads.load(SeqCst), 800);
    assert_eq!(warehouse.cache.function_stats("parcel").loads, 100);
}

/// Killed by: a wait for the turn without end; a load all the same, once the time is over; an error that is not counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_queues_beyond_its_timeout_fails() {
    let warehouse = Warehouse::with(1).await;
    let holder = warehouse.spawn_crate(1);
    warehouse.standing(1).await;
    let callers: Vec<_> = (0..10)
        .map(|_| {
            let warehouse = warehouse.clone();
            tokio::spawn(async move { warehouse.timed_crate(2).await })
        })
        .collect();
    for caller in callers {
        let error = within("a caller", caller).await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the load timed out");
    }
    let stats = warehouse.cache.function_stats("timed_crate");
    assert_eq!(stats.loads, 0, "only the crate was loaded");
    assert!(stats.timeouts >= 1 && stats.load_errors == stats.timeouts, "{stats:?}");
    assert_eq!(warehouse.gate.loads.load(SeqCst), 1);
    warehouse.let_pass(1);
    assert_eq!(within("the holder", holder).await.unwrap(), 1);
    assert_eq!(within("another try", warehouse.timed_crate(2)).await.unwrap(), 2);
}

/// Killed by: a stale value that waits for its refresh's turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stale_values_are_served_meanwhile() {
    let warehouse = Warehouse::with(1).await;
    assert_eq!(warehouse.price_tag(1).await, 0);
    let holder = warehouse.spawn_crate(1);
    warehouse.standing(1).await;
    eventually("it is stale", async || {
        assert_eq!(within("a stale hit", warehouse.price_tag(1)).await, 0);
        warehouse.cache.stats().stale_hits > 10
    })
    .await;
    assert_eq!(warehouse.cache.function_stats("price_tag").loads, 1, "the refresh waits");
    warehouse.let_pass(1);
    within("the holder", holder).await.unwrap();
    eventually("it is refreshed", async || warehouse.price_tag(1).await == 1).await;
}

/// The outer load does not wait for the refreshes that it starts. Killed by: refreshes that need no turn because the call
/// that began them was part of a load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refreshes_that_a_load_has_started_wait_for_their_turn() {
    let warehouse = Warehouse::with(2).await;
    warehouse.let_pass(10);
    for id in 0..10 {
        warehouse.label(id).await;
    }
    warehouse.gate.most.store(0, SeqCst);
    eventually("all labels are stale", async || {
        // Without starting a refresh: that is left to the list.
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        true
    })
    .await;
    assert_eq!(within("the list", warehouse.list(10)).await, 45);
    warehouse.degraded(10 + 1 + 10).await;
    for passed in 0..10 {
        eventually("a refresh stands at the gate", async || warehouse.gate.standing.load(SeqCst) > 0).await;
        let _ = passed;
        warehouse.let_pass(1);
    }
    eventually("all are refreshed", async || warehouse.gate.loads.load(SeqCst) >= 20).await;
    assert!(warehouse.gate.most.load(SeqCst) <= 2, "{}", warehouse.gate.most.load(SeqCst));
}

/// A load that panics or whose caller went away gives its turn to others. Killed by: a turn that is forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_ends_with_its_load() {
    let warehouse = Warehouse::with(1).await;
    let dropped = warehouse.spawn_crate(1);
    warehouse.standing(1).await;
    dropped.abort();
    let next = warehouse.spawn_crate(2);
    warehouse.degraded(2).await;
    warehouse.let_pass(2);
    assert_eq!(within("the next", next).await.unwrap(), 2);
    assert_eq!(warehouse.crate_of(1).await, 1, "the dropped caller's load went on");
    assert_eq!(warehouse.gate.loads.load(SeqCst), 2);
}

/// Killed by: no check.
#[tokio::test]
async fn no_degraded_loads_at_all_are_refused() {
    let error = HybridCache::builder().degraded_loads(0).build().await.unwrap_err();
    assert!(error.is_config() && !error.is_pending());
    assert_eq!(error.to_string(), "degraded_loads: must be at least 1, or nothing could be loaded in an outage");
    // More than a semaphore can count.
    HybridCache::builder().degraded_loads(usize::MAX).build().await.unwrap();
}
