//! Runtimes that run only now and then, or have ended, while the cache lives on.

use std::thread;
use std::time::{Duration, Instant};

use hybridcache::{HybridCache, hybrid_cached};
use hybridcache_test_support::{Direction, FaultProxy, Flow};
use tokio::runtime::{Builder, Runtime};

use crate::fleet::{Fleet, item};
use crate::process::Process;
use crate::recovery::{connected_shop, is_connected, is_open};
use crate::shop::Shop;

/// Runs only inside `block_on`, as in command lines, bindings and synchronous facades.
fn call_by_call() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Looks again and again, without driving the runtime in between.
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A shop that was built and connected on a runtime which nobody drives from here on.
fn idle_shop(fleet: &Fleet) -> (Runtime, Shop) {
    let runtime = call_by_call();
    let shop = runtime.block_on(connected_shop(fleet));
    (runtime, shop)
}

/// Killed by: links on the caller's runtime.
#[test]
fn messages_arrive_between_two_calls() {
    let fleet = Fleet::start();
    let (runtime, shop) = idle_shop(&fleet);
    let (_other_runtime, other) = (call_by_call(), fleet.process());
    assert_eq!(runtime.block_on(shop.item(1)).unwrap(), item(1, 1, 0));
    let told = call_by_call().block_on(async {
        fleet.database.set_version(1, 1).await;
        other.ask("invalidate 1").await
    });
    assert_eq!(told, "done");
    eventually("the entry has left memory", || shop.cache.memory_entries() == 0);
    assert_eq!(runtime.block_on(shop.item(1)).unwrap(), item(1, 2, 1));
}

/// For longer than a server waits for heartbeats. Killed by: links on the caller's runtime.
#[test]
fn an_idle_runtime_costs_neither_the_links_nor_other_runtimes() {
    let fleet = Fleet::start();
    let (runtime, shop) = idle_shop(&fleet);
    let beats = || fleet.redis.command_calls("publish");
    let before = beats();
    eventually("heartbeats go on", || beats() >= before + 5);
    let other = call_by_call();
    for id in 1..=20 {
        assert_eq!(other.block_on(shop.item(id)).unwrap(), item(id, 1, 0));
        other.block_on(shop.item_entry(id).invalidate()).unwrap();
        assert_eq!(runtime.block_on(shop.item(id)).unwrap(), item(id, 2, 0));
    }
    assert!(!is_open(&shop));
    assert_eq!((shop.cache.stats().redis_errors, shop.cache.stats().degraded_loads), (0, 0));
}

/// As a cache in a static, in test after test. Killed by: links, recovery or releases on the runtime that built the cache.
#[test]
fn a_cache_outlives_the_runtime_that_built_it() {
    let fleet = Fleet::start();
    for multi_threaded in [false, true] {
        let runtime = || match multi_threaded {
            true => Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap(),
            false => call_by_call(),
        };
        let shop = runtime().block_on(connected_shop(&fleet));
        for id in 1..=20 {
            runtime().block_on(async {
                let load = shop.item(id).await.unwrap().load;
                shop.item_entry(id).invalidate().await.unwrap();
                assert_eq!(shop.item(id).await.unwrap(), item(id, load + 1, 0));
            });
        }
        assert!(!is_open(&shop));
        let stats = shop.cache.stats();
        assert_eq!((stats.redis_errors, stats.degraded_loads, stats.pending_invalidations), (0, 0, 0));
    }
}

/// Redis goes and comes back while no runtime runs. Killed by: recovery on a caller's runtime.
#[test]
fn the_way_back_needs_no_runtime_of_a_caller() {
    let fleet = Fleet::start();
    let (runtime, shop) = idle_shop(&fleet);
    fleet.redis.kill();
    eventually("the loss is noticed", || {
        let told = runtime.block_on(shop.item_entry(1).invalidate());
        told.is_err_and(|error| error.is_pending())
    });
    assert!(is_open(&shop));
    fleet.redis.start_again();
    eventually("what was pending is sent", || shop.cache.stats().pending_invalidations == 0 && !is_open(&shop));
    runtime.block_on(is_connected(&shop));
}

/// A lease is given back although its load ended with its runtime. Killed by: sending that on the caller's runtime.
#[test]
fn a_load_that_ends_with_its_runtime_gives_its_lease_back() {
    use crate::database::Order;

    let fleet = Fleet::start();
    let (_runtime, shop) = idle_shop(&fleet);
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        fleet.database.order(1, &[Order::Hold]).await;
        let shop = shop.clone();
        tokio::spawn(async move { shop.item(1).await });
        fleet.database.begun(1, 1).await;
    });
    drop(runtime);
    call_by_call().block_on(fleet.leaves_no_trace());
}

/// A process that was suspended while others invalidated has not read their messages when it is asked next. Killed by: trusting
/// memory whether or not anybody has read messages of late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_suspended_process_has_in_memory_is_compared_first() {
    let fleet = Fleet::start();
    let other = connected_shop(&fleet).await;
    let network = FaultProxy::start(fleet.redis.port());
    let process = Process::start("worker", &network.url(), fleet.database.port());
    for id in [1, 2] {
        assert_eq!(process.item(id).await, item(id, 1, 0));
    }
    process.pause();
    // The message must not be read before the first call is answered.
    network.set_for_subscribers(Direction::ToClient, Flow::Hold);
    fleet.database.set_version(1, 1).await;
    other.item_entry(1).invalidate().await.unwrap();
    let suspended = fleet.now();
    crate::waiting::eventually("six seconds pass", async || fleet.now() >= suspended + 6_000).await;
    let answers = [process.item(1), process.item(2)];
    process.resume();
    let [changed, same] = answers;
    assert_eq!(changed.await, item(1, 2, 1));
    assert_eq!(same.await, item(2, 1, 0), "it is compared, not loaded");
}

/// Killed by: timers, or connections, of the caller's runtime.
#[test]
fn a_runtime_without_timers_and_io_can_use_redis() {
    let fleet = Fleet::start();
    let drivers = call_by_call();
    // The loads are what needs drivers here.
    let _database = drivers.block_on(connected_shop(&fleet));
    for runtime in [Builder::new_current_thread().build().unwrap(), Builder::new_multi_thread().build().unwrap()] {
        let shop = drivers.block_on(connected_shop(&fleet));
        drivers.block_on(shop.item(1)).unwrap();
        let bare = runtime.block_on(fleet.shop());
        let (first, second) = runtime.block_on(async {
            let joined = bare.clone();
            let joined = tokio::spawn(async move { joined.item(1).await.unwrap() });
            (bare.item(1).await.unwrap(), joined.await.unwrap())
        });
        assert_eq!((first, second), (item(1, 1, 0), item(1, 1, 0)), "it was read in Redis");
        runtime.block_on(bare.item_entry(1).put(item(1, 0, 9))).unwrap();
        runtime.block_on(bare.item_entry(1).invalidate()).unwrap();
        runtime.block_on(bare.cache.invalidate_tag("shelf:1")).unwrap();
        runtime.block_on(bare.item_entry(1).put(item(1, 1, 0))).unwrap();
        runtime.block_on(bare.cache.close(Duration::from_secs(10))).unwrap();
        assert_eq!(bare.cache.stats().redis_errors, 0);
    }
}

/// Time stands still while Redis is asked, and goes on by itself while nobody asks. Killed by: budgets of a paused clock; a clock that
/// advances while an answer is on its way.
#[tokio::test(start_paused = true)]
async fn a_paused_clock_does_not_keep_anybody_from_redis() {
    let fleet = Fleet::start();
    let redis = HybridCache::builder().namespace("paused").redis(fleet.redis.url());
    let (cache, other) = (redis.clone().build().await.unwrap(), redis.build().await.unwrap());
    let began = tokio::time::Instant::now();
    for id in 1..=20 {
        let (here, there) = tokio::join!(quick(&cache, id), quick(&cache, id));
        assert_eq!((here, there, quick(&other, id).await), (id, id, id));
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!((cache.stats().loads, other.stats().loads, other.stats().hits_redis), (20, 0, 20));
    quick_entry(&cache, 1).invalidate().await.unwrap();
    cache.invalidate_tag("quick").await.unwrap();
    assert_eq!((cache.stats().redis_errors, other.stats().redis_errors), (0, 0));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    quick(&cache, 2).await;
    assert_eq!(cache.stats().loads, 21, "its time in memory is the paused clock's");
    cache.close(Duration::from_secs(1)).await.unwrap();
}

#[hybrid_cached(ttl = 60s, key = "{id}", tags = ["quick"], cache = cache)]
async fn quick(cache: &HybridCache, id: u64) -> u64 {
    id
}
