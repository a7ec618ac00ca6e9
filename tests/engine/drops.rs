//! The values of users have a `Drop`, which may do anything: it runs while the cache holds no lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::Duration;

use hybridcache::{CacheEntry, HybridCache, Memory, hybrid_cached};

/// Does what it was told when it is dropped.
struct Guest {
    number: u64,
    leave: fn(&HybridCache, u64),
    cache: HybridCache,
}

impl Drop for Guest {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, SeqCst);
        (self.leave)(&self.cache, self.number);
    }
}

/// Over all tests of this file: each of them only waits for more of them.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// More than a thread keeps of what is removed.
const MANY: u64 = 500;

#[hybrid_cached(ttl = 1h, key = "{id}", tier = memory, cache = cache)]
async fn guest(cache: &HybridCache, id: u64, leave: fn(&HybridCache, u64)) -> Arc<Guest> {
    Arc::new(Guest { number: id, leave, cache: cache.clone() })
}

fn handle(cache: &HybridCache, id: u64) -> CacheEntry<Arc<Guest>> {
    guest_entry(cache, id)
}

/// Runs to its end at once: nothing in memory waits.
fn now<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

/// Fills, replaces, expires, invalidates and evicts, on a thread of its own: one that hangs fails the test.
fn lives_through_everything(leave: fn(&HybridCache, u64)) {
    let (sender, done) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let cache = HybridCache::builder().memory(Memory::entries(50)).build().await.unwrap();
            let put = async |id, number| {
                let value = Arc::new(Guest { number, leave, cache: cache.clone() });
                handle(&cache, id).put(value).await.unwrap();
            };
            for number in 0..MANY {
                put(1, number).await;
                put(number, number).await;
                guest(&cache, number + 1, leave).await;
                handle(&cache, number).expire().await.unwrap();
                guest(&cache, number, leave).await;
                hybridcache::refresh(guest(&cache, number, leave)).await;
                handle(&cache, number).invalidate().await.unwrap();
                cache.stats();
                cache.memory_entries();
            }
            cache.clear().await.unwrap();
            assert_eq!(handle(&cache, 1).get().await.map(|guest| guest.number), None);
        });
        let _ = sender.send(());
    });
    done.recv_timeout(Duration::from_secs(60)).expect("it hangs, or has panicked");
    assert!(DROPPED.load(SeqCst) > MANY);
}

/// The same key, whose lock is held. Killed by: freeing what is removed under that lock.
#[test]
fn a_value_whose_end_invalidates_its_own_key() {
    lives_through_everything(|cache, number| {
        now(handle(cache, 1).invalidate()).unwrap();
        now(handle(cache, number).expire()).unwrap();
    });
}

/// Killed by: freeing what is evicted while the lock of memory is held.
#[test]
fn a_value_whose_end_looks_at_all_of_memory() {
    lives_through_everything(|cache, number| {
        cache.memory_entries();
        assert!(now(handle(cache, number + 1_000_000).get()).is_none());
    });
}

/// Killed by: letting the panic through to the call that happens to free the value.
#[test]
fn a_value_whose_end_panics() {
    lives_through_everything(|_, _| std::panic::resume_unwind(Box::new("a guest leaves")));
}
