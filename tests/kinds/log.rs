//! What is logged when a cache cannot connect.

use std::sync::{Arc, Mutex};

use hybridcache::HybridCache;
use tracing::field::{Field, Visit};

/// Builds a cache, and returns what that logged.
pub(crate) async fn log_of_connecting(url: &str) -> String {
    let log = Log::default();
    let dispatch = tracing::Dispatch::new(log.clone());
    let url = url.to_owned();
    // A dispatcher is a thread's, so the cache gets a thread and a runtime of its own.
    let logged = tokio::task::spawn_blocking(move || {
        let attempt = || tracing::dispatcher::with_default(&dispatch, || attempt(&url));
        std::thread::scope(|scope| scope.spawn(attempt).join().unwrap());
    });
    logged.await.unwrap();
    let text = log.text.lock().unwrap();
    text.clone()
}

fn attempt(url: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { HybridCache::builder().redis(url).build().await.unwrap() });
}

/// What was logged.
#[derive(Clone, Default)]
struct Log {
    text: Arc<Mutex<String>>,
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("hybridcache")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Fields<'a>(&'a mut String);
        impl Visit for Fields<'_> {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!("{field}={value:?} "));
            }
        }
        event.record(&mut Fields(&mut self.text.lock().unwrap()));
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
