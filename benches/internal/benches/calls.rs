//! What calls of cached functions cost, in memory. Divan says times for this machine now; compare within one run only.
//!
//! `cargo bench -p hybridcache-benches --bench calls`

use std::future::poll_fn;
use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::task::Poll;

use divan::Bencher;
use divan::counter::ItemsCount;
use hybridcache::{HybridCache, Memory, hybrid_cached};
use tokio::runtime::{self, Runtime};
use tokio::sync::Semaphore;

fn main() {
    // Outside of the runtime that builds it: loads look for it from within.
    LazyLock::force(&CACHE);
    divan::main();
}

/// So many that a hit finds its entry in the processor's caches, and more than one.
const HOT: u64 = 1000;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| runtime::Builder::new_current_thread().enable_time().build().expect("a runtime can be built"));

/// Room for all that any benchmark here stores while it is hot.
static CACHE: LazyLock<HybridCache> = LazyLock::new(|| {
    RUNTIME.block_on(HybridCache::builder().memory(Memory::entries(100_000)).build()).expect("the settings are right")
});

#[hybrid_cached(tier = memory, ttl = 1h, key = "{id}", cache = CACHE)]
async fn by_number(id: u64) -> Arc<u64> {
    Arc::new(id)
}

#[hybrid_cached(tier = memory, ttl = 1h, key = "{name}", cache = CACHE)]
async fn by_name(name: &str) -> Arc<String> {
    Arc::new(name.to_owned())
}

#[hybrid_cached(tier = memory, ttl = 1h, key = (org, name), cache = CACHE)]
async fn by_both(org: u64, name: &str) -> Arc<(u64, String)> {
    Arc::new((org, name.to_owned()))
}

#[hybrid_cached(tier = memory, ttl = 1h, key = "{id}", cache = CACHE)]
async fn perhaps(id: u64) -> Option<Arc<u64>> {
    id.is_multiple_of(2).then(|| Arc::new(id))
}

/// Calls in turn for the hot keys, all hits: `call` has been made once for each key.
fn hits<F: Future>(bencher: Bencher<'_, '_>, call: impl Fn(usize) -> F) {
    RUNTIME.block_on(async {
        for at in 0..HOT as usize {
            call(at).await;
        }
    });
    let loads = CACHE.stats().loads;
    bencher.counter(ItemsCount::new(HOT)).bench_local(|| {
        RUNTIME.block_on(async {
            for at in 0..HOT as usize {
                black_box(call(black_box(at)).await);
            }
        });
    });
    assert_eq!(CACHE.stats().loads, loads, "hits load nothing");
}

fn names() -> Vec<String> {
    (0..HOT).map(|at| format!("customer-{at:06}")).collect()
}

#[divan::bench]
fn hit_number_x1000(bencher: Bencher<'_, '_>) {
    hits(bencher, |at| by_number(at as u64));
}

#[divan::bench]
fn hit_string_x1000(bencher: Bencher<'_, '_>) {
    let names = names();
    hits(bencher, |at| by_name(&names[at]));
}

#[divan::bench]
fn hit_tuple_x1000(bencher: Bencher<'_, '_>) {
    let names = names();
    hits(bencher, |at| by_both(7, &names[at]));
}

#[divan::bench]
fn hit_option_x1000(bencher: Bencher<'_, '_>) {
    hits(bencher, |at| perhaps(at as u64));
}

/// Where the refresh waits until its benchmark is over.
static REFRESH_GATE: Semaphore = Semaphore::const_new(0);
static REFRESHES_WAIT: AtomicBool = AtomicBool::new(false);

#[hybrid_cached(tier = memory, fresh_for = 1ms, ttl = 1h, key = "{id}", cache = CACHE)]
async fn refreshed(id: u64) -> Arc<u64> {
    if REFRESHES_WAIT.load(Relaxed) {
        REFRESH_GATE.acquire().await.expect("never closed").forget();
    }
    Arc::new(id)
}

/// One key, since each has a refresh of its own; compare with [`hit_one_number_x1000`].
#[divan::bench]
fn hit_stale_while_a_refresh_runs_x1000(bencher: Bencher<'_, '_>) {
    RUNTIME.block_on(async {
        refreshed(7).await;
        REFRESHES_WAIT.store(true, Relaxed);
        // Ends because 1 ms ends: from then on the value is stale, and the first call begins the refresh.
        while CACHE.stats().refreshes == 0 {
            refreshed(7).await;
            tokio::task::yield_now().await;
        }
    });
    let before = CACHE.stats();
    bencher.counter(ItemsCount::new(HOT)).bench_local(|| {
        RUNTIME.block_on(async {
            for _ in 0..HOT {
                black_box(refreshed(black_box(7)).await);
            }
        });
    });
    let after = CACHE.stats();
    assert!(after.stale_hits > before.stale_hits, "the value is stale");
    assert_eq!(after.refreshes, before.refreshes, "one refresh runs all the time");
    REFRESHES_WAIT.store(false, Relaxed);
    REFRESH_GATE.add_permits(1);
}

#[divan::bench]
fn hit_one_number_x1000(bencher: Bencher<'_, '_>) {
    hits(bencher, |_| by_number(7));
}

/// Each for a key of its own, while memory has room; the load returns at once.
#[divan::bench]
fn miss(bencher: Bencher<'_, '_>) {
    static NEXT: AtomicU64 = AtomicU64::new(1 << 40);
    bencher.bench_local(|| RUNTIME.block_on(by_number(NEXT.fetch_add(1, Relaxed))));
}

static LOAD_GATE: Semaphore = Semaphore::const_new(0);

#[hybrid_cached(tier = memory, ttl = 1h, key = "{id}", cache = CACHE)]
async fn gated(id: u64) -> Arc<u64> {
    LOAD_GATE.acquire().await.expect("never closed").forget();
    Arc::new(id)
}

/// A caller joins a load that runs, and goes away after one poll.
#[divan::bench]
fn join_a_running_load_and_leave(bencher: Bencher<'_, '_>) {
    let leave = || async {
        let mut call = pin!(gated(7));
        poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending())).await
    };
    assert!(RUNTIME.block_on(leave()), "the load waits");
    bencher.bench_local(|| assert!(RUNTIME.block_on(leave())));
    LOAD_GATE.add_permits(1);
    RUNTIME.block_on(gated(7));
}

/// The load of a key and 99 callers who join it, all answered.
#[divan::bench]
fn a_load_and_99_joined(bencher: Bencher<'_, '_>) {
    static NEXT: AtomicU64 = AtomicU64::new(1 << 41);
    bencher.counter(ItemsCount::new(100_u64)).bench_local(|| {
        let id = NEXT.fetch_add(1, Relaxed);
        RUNTIME.block_on(async {
            let callers: Vec<_> = (0..100).map(|_| tokio::spawn(gated(id))).collect();
            LOAD_GATE.add_permits(1);
            for caller in callers {
                assert_eq!(*caller.await.expect("calls do not panic"), id);
            }
        });
    });
}

/// Of an entry that is there: it is put first, untimed.
#[divan::bench]
fn handle_invalidate(bencher: Bencher<'_, '_>) {
    let put = || RUNTIME.block_on(by_number_entry(7).put(Arc::new(7))).expect("memory never fails");
    bencher.with_inputs(put).bench_local_values(|()| {
        RUNTIME.block_on(by_number_entry(7).invalidate()).expect("memory never fails");
    });
}
