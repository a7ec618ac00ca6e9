//! Counters, and the snapshot of them that users read.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::primitives::thread_slot::{STRIPES, ThreadSlot};

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BreakerState {
    /// They do. Also the state of a cache without Redis.
    #[default]
    Closed,
    /// They do not: five calls in a row failed or were too slow, or Redis has not acknowledged an invalidation. A
    /// background task tests Redis and closes the breaker.
    Open,
}

impl Stats {
    /// Hits over calls, from 0 to 1; 0 if there was no call. A call that joined a load counts as neither a hit nor a
    /// miss.
    pub fn hit_ratio(&self) -> f64 {
        let hits = self.hits_memory + self.hits_redis;
        match hits + self.misses {
            0 => 0.0,
            calls => hits as f64 / calls as f64,
        }
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
        self.refreshes += other.refreshes;
        self.evictions += other.evictions;
        self.invalidations += other.invalidations;
        self.fenced_publishes += other.fenced_publishes;
        self.undecodable += other.undecodable;
        self.unsendable += other.unsendable;
        self.redis_errors += other.redis_errors;
        self.degraded_loads += other.degraded_loads;
        self.revalidated += other.revalidated;
        self
    }
}

/// The live counters of one function.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) hits_memory: Striped,
    pub(crate) hits_redis: AtomicU64,
    pub(crate) stale_hits: Striped,
    pub(crate) misses: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) load_errors: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) joined: AtomicU64,
    pub(crate) refreshes: AtomicU64,
    pub(crate) evictions: AtomicU64,
    pub(crate) invalidations: AtomicU64,
    pub(crate) fenced_publishes: AtomicU64,
    pub(crate) undecodable: AtomicU64,
    pub(crate) unsendable: AtomicU64,
    pub(crate) redis_errors: AtomicU64,
    pub(crate) degraded_loads: AtomicU64,
    pub(crate) revalidated: AtomicU64,
}

impl Counters {
    pub(crate) fn snapshot(&self) -> Stats {
        Stats {
            hits_memory: self.hits_memory.sum(),
            hits_redis: self.hits_redis.load(Relaxed),
            stale_hits: self.stale_hits.sum(),
            misses: self.misses.load(Relaxed),
            loads: self.loads.load(Relaxed),
            load_errors: self.load_errors.load(Relaxed),
            timeouts: self.timeouts.load(Relaxed),
            joined: self.joined.load(Relaxed),
            refreshes: self.refreshes.load(Relaxed),
            evictions: self.evictions.load(Relaxed),
            invalidations: self.invalidations.load(Relaxed),
            fenced_publishes: self.fenced_publishes.load(Relaxed),
            undecodable: self.undecodable.load(Relaxed),
            unsendable: self.unsendable.load(Relaxed),
            redis_errors: self.redis_errors.load(Relaxed),
            degraded_loads: self.degraded_loads.load(Relaxed),
            revalidated: self.revalidated.load(Relaxed),
            // The cache object fills in these fields.
            breaker: BreakerState::Closed,
            breaker_opened: 0,
            pending_invalidations: 0,
        }
    }
}

/// Adds one to a counter.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

/// A counter with a slot for each thread, to avoid contention: hits are counted on every call.
#[derive(Debug, Default)]
pub(crate) struct Striped([Line; STRIPES]);

/// Fills its own cache lines (two: processors fetch them in pairs).
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line(AtomicU64);

impl Striped {
    pub(crate) fn count(&self) {
        self.count_at(ThreadSlot::mine());
    }

    /// The same for a thread whose slot is known.
    #[inline]
    pub(crate) fn count_at(&self, stripe: ThreadSlot) {
        let Line(counter) = &self.0[stripe.index()];
        if stripe.is_shared() {
            count(counter);
        } else {
            // No other thread writes to it, so this needs no locked instruction.
            counter.store(counter.load(Relaxed) + 1, Relaxed);
        }
    }

    fn sum(&self) -> u64 {
        self.0.iter().map(|Line(counter)| counter.load(Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Killed by: a stripe that is handed out twice, or given back and used on; counting in the shared one as in one's
    /// own.
    #[test]
    fn threads_count_together() {
        let counter = Striped::default();
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..2 * STRIPES {
                    scope.spawn(|| (0..10_000).for_each(|_| counter.count()));
                }
            });
        }
        assert_eq!(counter.sum(), 60_000 * STRIPES as u64);
    }
}
