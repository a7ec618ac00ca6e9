//! What is logged when a cache cannot connect.

use hybridcache::HybridCache;
use hybridcache_test_support::log_of;

/// Builds a cache, and returns what that logged.
pub(crate) async fn log_of_connecting(url: &str) -> String {
    let url = url.to_owned();
    // A dispatcher is a thread's, so the cache gets a thread and a runtime of its own.
    let logged = tokio::task::spawn_blocking(move || {
        std::thread::scope(|scope| scope.spawn(|| log_of(|| attempt(&url))).join().unwrap())
    });
    logged.await.unwrap()
}

fn attempt(url: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { HybridCache::builder().redis(url).build().await.unwrap() });
}
