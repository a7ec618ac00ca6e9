//! The other process: it serves values from its memory, and tells when it no longer does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hybridcache::{HybridCache, Outage, hybrid_cached};
use hybridcache_test_support::worker::{WorkerProcess, run_worker, serve_requests};
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, yield_now};

pub(crate) const NAMESPACE: &str = "coherence";

/// Requests: to hold a key, and when the one that is held was last served.
const HOLD: &str = "hold ";
const UNSEEN: &str = "unseen";

/// How long a value may be served that was invalidated, or is to be, before something is wrong.
const PATIENCE: Duration = Duration::from_secs(15);

/// Counts loads: who loads again gets another number.
static LOADS: AtomicU64 = AtomicU64::new(0);

#[hybrid_cached(ttl = 1h, key = "{id}", name = "item", cache = cache)]
pub(crate) async fn item(cache: &HybridCache, id: u64) -> u64 {
    u64::from(std::process::id()) << 32 | LOADS.fetch_add(1, Ordering::Relaxed)
}

/// The other process's life.
pub(crate) fn run() {
    run_worker(async |[redis, is_strict]: [String; 2]| {
        let outage = if is_strict == "true" { Outage::Strict } else { Outage::Serve };
        let builder = HybridCache::builder().namespace(NAMESPACE).redis(redis).outage(outage);
        let cache = builder.build().await.unwrap();
        let serving: Arc<Mutex<Option<JoinHandle<Duration>>>> = Arc::default();
        serve_requests(|request| {
            let (cache, serving) = (cache.clone(), serving.clone());
            async move {
                let mut serving = serving.lock().await;
                match request.strip_prefix(HOLD) {
                    Some(id) => {
                        let id = id.parse().unwrap();
                        let held = hold(&cache, id).await;
                        *serving = Some(tokio::spawn(serve(cache, id, held)));
                        String::new()
                    }
                    None => serving.take().unwrap().await.unwrap().as_nanos().to_string(),
                }
            }
        })
        .await;
    });
}

/// Calls until the value comes from memory.
async fn hold(cache: &HybridCache, id: u64) -> u64 {
    loop {
        let hits = cache.stats().hits_memory;
        let value = item(cache, id).await;
        if cache.stats().hits_memory > hits {
            return value;
        }
    }
}

/// Calls until the value is another one: when the last call ended that got the old one.
async fn serve(cache: HybridCache, id: u64, held: u64) -> Duration {
    let deadline = Instant::now() + PATIENCE;
    let mut seen = now();
    while item(&cache, id).await == held {
        seen = now();
        assert!(Instant::now() < deadline, "{id} is still served from memory");
        yield_now().await;
    }
    seen
}

/// Both processes have the same clock.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// Such a process.
pub(crate) struct Reader(WorkerProcess);

impl Reader {
    pub(crate) fn start(redis: &str, outage: Outage) -> Self {
        let is_strict = (outage == Outage::Strict).to_string();
        Self(WorkerProcess::start_program(&[redis, &is_strict]))
    }

    /// Returns when it serves that key from its memory. It does so until the key is invalidated.
    pub(crate) async fn hold(&self, id: u64) {
        self.0.ask(format!("{HOLD}{id}")).await;
    }

    /// When the last call ended that got the old value.
    pub(crate) async fn unseen(&self) -> Duration {
        Duration::from_nanos(self.0.ask(UNSEEN).await.parse().unwrap())
    }
}
