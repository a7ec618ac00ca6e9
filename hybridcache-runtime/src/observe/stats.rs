//! The snapshot of the counters that users read.

use serde::Serialize;

/// A snapshot of the counters since the cache was built, over all functions or for one. Only calls count as hits and
/// misses: [`CacheEntry::get`](crate::CacheEntry::get) does not.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), hybridcache::Error> {
/// let cache = hybridcache::HybridCache::builder().build().await?;
/// let stats = cache.stats();
/// println!("hit ratio {:.1} %", 100.0 * stats.hit_ratio());
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Calls answered from memory, fresh or stale.
    pub hits_memory: u64,
    /// Calls answered from Redis, fresh or stale.
    pub hits_redis: u64,
    /// Hits that got a stale value; counted in `hits_memory` or `hits_redis` too.
    pub stale_hits: u64,
    /// Calls that found nothing cached.
    pub misses: u64,
    /// Loads that were begun, background refreshes included.
    pub loads: u64,
    /// Loads that ended with an error, a panic or a timeout.
    pub load_errors: u64,
    /// Failed loads that exceeded their `timeout`; counted in `load_errors` too.
    pub timeouts: u64,
    /// Calls that joined a load which was already running in this process.
    pub joined: u64,
    /// Calls that loaded without a look into the cache: in [`bypass`](crate::bypass()) or [`refresh`](crate::refresh()), or in a load of
    /// their own key.
    pub bypassed: u64,
    /// Background refreshes that were begun.
    pub refreshes: u64,
    /// Entries that memory evicted because it was full.
    pub evictions: u64,
    /// Invalidations, expirations and puts that were called in this process.
    pub invalidations: u64,
    /// Loads whose result was not stored because the key had been invalidated, or taken over, meanwhile.
    pub fenced_publishes: u64,
    /// Entries in Redis that were foreign, damaged, or of another version or type: each was a miss.
    pub undecodable: u64,
    /// Entries in Redis that were decrypted with another key than the primary one: when it grows no more, in no process, that key may go.
    /// Always 0 without [`Builder::encryption`](crate::Builder).
    pub opened_with_old_key: u64,
    /// Values that were kept out of Redis: too large, or not serializable.
    pub unsendable: u64,
    /// Redis commands that failed, ran out of time, or were not sent because the breaker was open.
    pub redis_errors: u64,
    /// Loads without a lease: Redis could not grant one, or another process holds it and the load before stored
    /// nothing.
    pub degraded_loads: u64,
    /// Entries in memory from before a gap in the messages that were compared with Redis and found unchanged.
    pub revalidated: u64,
    /// Whether calls use Redis now. Not counted by function.
    pub breaker: BreakerState,
    /// How often the breaker has opened. Not counted by function.
    pub breaker_opened: u64,
    /// Invalidations that Redis has not acknowledged, and that will be sent again. Not counted by function.
    pub pending_invalidations: u64,
}

/// Whether calls use Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// They do. Also the state of a cache without Redis.
    #[default]
    Closed,
    /// They do not: five calls in a row failed or were too slow, or Redis has not acknowledged an invalidation. A
    /// background task tests Redis and closes the breaker.
    Open,
}

impl Stats {
    /// The share of calls that were answered from the cache, from 0 to 1: hits over hits, misses and joined calls. 0 if there was no such
    /// call. Bypassed calls do not count.
    pub fn hit_ratio(&self) -> f64 {
        match self.hits() + self.misses + self.joined {
            0 => 0.0,
            calls => self.hits() as f64 / calls as f64,
        }
    }

    pub(crate) fn hits(&self) -> u64 {
        self.hits_memory + self.hits_redis
    }

    /// All calls: each has one of these outcomes.
    #[cfg(feature = "inspector")]
    pub(crate) fn calls(&self) -> u64 {
        self.hits() + self.misses + self.joined + self.bypassed
    }

    pub(crate) fn add(mut self, other: Stats) -> Stats {
        self.hits_memory += other.hits_memory;
        self.hits_redis += other.hits_redis;
        self.stale_hits += other.stale_hits;
        self.misses += other.misses;
        self.loads += other.loads;
        self.load_errors += other.load_errors;
        self.timeouts += other.timeouts;
        self.joined += other.joined;
        self.bypassed += other.bypassed;
        self.refreshes += other.refreshes;
        self.evictions += other.evictions;
        self.invalidations += other.invalidations;
        self.fenced_publishes += other.fenced_publishes;
        self.undecodable += other.undecodable;
        self.opened_with_old_key += other.opened_with_old_key;
        self.unsendable += other.unsendable;
        self.redis_errors += other.redis_errors;
        self.degraded_loads += other.degraded_loads;
        self.revalidated += other.revalidated;
        self
    }
}
