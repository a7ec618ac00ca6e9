//! The other process: it serves values from its memory, and tells when it no longer does.

use std::env;
use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hybridcache::{HybridCache, Outage, hybrid_cached};
use tokio::task::yield_now;

const REDIS: &str = "HYBRIDCACHE_BENCH_REDIS";
const STRICT: &str = "HYBRIDCACHE_BENCH_STRICT";

pub(crate) const NAMESPACE: &str = "coherence";

/// Stands before each answer.
const ANSWER: &str = "@";

/// How long a value may be served that was invalidated, or is to be, before something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

/// Counts loads: who loads again gets another number.
static LOADS: AtomicU64 = AtomicU64::new(0);

#[hybrid_cached(ttl = 1h, key = "{id}", name = "item", cache = cache)]
pub(crate) async fn item(cache: &HybridCache, id: u64) -> u64 {
    u64::from(std::process::id()) << 32 | LOADS.fetch_add(1, Ordering::Relaxed)
}

/// What the environment tells a process that was started as the other one.
pub(crate) struct Order {
    redis: String,
    outage: Outage,
}

impl Order {
    pub(crate) fn from_environment() -> Option<Self> {
        let outage = if env::var(STRICT).is_ok() { Outage::Strict } else { Outage::Serve };
        Some(Self { redis: env::var(REDIS).ok()?, outage })
    }
}

/// Reads ids, one in a line; answers each when its value is in memory, and again when it is no longer served.
pub(crate) async fn run(order: Order) {
    let builder = HybridCache::builder().namespace(NAMESPACE).redis(order.redis).outage(order.outage);
    let cache = builder.build().await.unwrap();
    for line in stdin().lines().map_while(Result::ok) {
        let id = line.parse().unwrap();
        let held = hold(&cache, id).await;
        answer("held");
        let deadline = Instant::now() + PATIENCE;
        let mut seen = now();
        while item(&cache, id).await == held {
            seen = now();
            assert!(Instant::now() < deadline, "{id} is still served from memory");
            yield_now().await;
        }
        answer(&seen.as_nanos().to_string());
    }
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

fn answer(text: &str) {
    println!("{ANSWER}{text}");
    stdout().flush().unwrap();
}

/// Both processes have the same clock.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// Such a process.
pub(crate) struct Reader {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Reader {
    pub(crate) fn start(redis: &str, outage: Outage) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.env(REDIS, redis).stdin(Stdio::piped()).stdout(Stdio::piped());
        if outage == Outage::Strict {
            command.env(STRICT, "1");
        }
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    /// Returns when it serves that key from its memory. It does so until the key is invalidated.
    pub(crate) fn hold(&mut self, id: u64) {
        writeln!(self.input, "{id}").unwrap();
        assert_eq!(self.next(), "held");
    }

    /// When the last call ended that got the old value.
    pub(crate) fn unseen(&mut self) -> Duration {
        Duration::from_nanos(self.next().parse().unwrap())
    }

    fn next(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().strip_prefix(ANSWER).expect("the other process answers").to_owned()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
