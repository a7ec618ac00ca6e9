//! What this process does: it invalidates what the other one holds.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use hybridcache::{HybridCache, Outage};
use hybridcache_test_support::{Direction, FaultProxy, Flow, RedisServer};
use tokio::time::sleep;

use crate::reader::{NAMESPACE, Reader, item_entry, now};

/// Of one invalidation.
pub(crate) struct Latency {
    pub(crate) since_called: Duration,
    /// `None`: unseen before it returned.
    pub(crate) since_returned: Option<Duration>,
}

/// What no longer comes back from Redis.
#[derive(Clone, Copy)]
pub(crate) enum Deaf {
    AllConnections,
    MessagesOnly,
}

/// How long Redis may take to be in use again after a fault.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn healthy(rounds: u64) -> Vec<Latency> {
    let server = RedisServer::start();
    let cache = writer(&server).await;
    let reader = Reader::start(&server.url(), Outage::Serve);
    let mut latencies = Vec::new();
    for id in 0..rounds {
        reader.hold(id).await;
        sleep(random(Duration::from_millis(3))).await;
        latencies.push(invalidate(&cache, &reader, id).await);
    }
    latencies
}

pub(crate) async fn lost(deaf: Deaf, rounds: u64) -> Vec<Latency> {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    let cache = writer(&server).await;
    let reader = Reader::start(&proxy.url(), Outage::Strict);
    let mut latencies = Vec::new();
    for id in 0..rounds {
        reaches_redis(&server, &reader, &cache, id).await;
        reader.hold(id).await;
        // Anywhere between two heartbeats.
        sleep(random(Duration::from_secs(2))).await;
        match deaf {
            Deaf::AllConnections => proxy.set(Direction::ToClient, Flow::Swallow),
            Deaf::MessagesOnly => proxy.set_for_subscribers(Direction::ToClient, Flow::Swallow),
        }
        latencies.push(invalidate(&cache, &reader, id).await);
        proxy.restore();
    }
    latencies
}

async fn writer(server: &RedisServer) -> HybridCache {
    HybridCache::builder().namespace(NAMESPACE).redis(server.url()).build().await.unwrap()
}

async fn invalidate(cache: &HybridCache, reader: &Reader, id: u64) -> Latency {
    let called = now();
    item_entry(cache, id).invalidate().await.unwrap();
    let returned = now();
    let unseen = reader.unseen().await;
    Latency { since_called: unseen.saturating_sub(called), since_returned: unseen.checked_sub(returned) }
}

/// Waits until the other process sees an invalidation quickly, and stores what it loads: it has got over the last fault.
async fn reaches_redis(server: &RedisServer, reader: &Reader, cache: &HybridCache, id: u64) {
    const FIRST: u64 = 1_000_000;
    let deadline = Instant::now() + PATIENCE;
    for attempt in 0.. {
        assert!(Instant::now() < deadline, "the other process does not use Redis again");
        let probe = FIRST + id * 1_000 + attempt;
        reader.hold(probe).await;
        let is_stored = !server.keys(&format!("*:item@0:{probe}:e")).is_empty();
        let latency = invalidate(cache, reader, probe).await;
        if is_stored && latency.since_called < Duration::from_millis(500) {
            return;
        }
    }
}

fn random(longest: Duration) -> Duration {
    let random = RandomState::new().hash_one(()) % 1_000;
    longest * random as u32 / 1_000
}

impl fmt::Display for Deaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AllConnections => "nothing comes back from Redis",
            Self::MessagesOnly => "answers come back, messages do not",
        })
    }
}
