//! The live counters of a function, or of the cache as a whole.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::event::{EventKind, EvictionCause, InvalidationKind, LoadResult, Tier, UnsendableReason};
use super::histogram::{BYTES, Histogram, LOADS};
use super::stats::{BreakerState, Stats};
use crate::primitives::thread_slot::{STRIPES, ThreadSlot};

/// All counters. What adds to one is [`Counters::count`], or [`Counters::hit`] for hits in memory.
#[derive(Debug)]
pub(crate) struct Counters {
    hits_memory: Striped,
    stale_memory: Striped,
    pub(crate) hits_shared: AtomicU64,
    pub(crate) stale_shared: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) joined: AtomicU64,
    pub(crate) bypassed: AtomicU64,
    /// Loads that were begun.
    pub(crate) loads: AtomicU64,
    /// Loads that have ended.
    pub(crate) results: ByLabel<{ LoadResult::ALL.len() }>,
    pub(crate) refreshes: AtomicU64,
    pub(crate) evictions: ByLabel<{ EvictionCause::ALL.len() }>,
    pub(crate) invalidations: ByLabel<{ InvalidationKind::ALL.len() }>,
    pub(crate) invalidations_received: AtomicU64,
    pub(crate) fenced: AtomicU64,
    pub(crate) undecodable: AtomicU64,
    pub(crate) opened_with_old_key: AtomicU64,
    pub(crate) unsendable: ByLabel<{ UnsendableReason::ALL.len() }>,
    pub(crate) shared_failed: AtomicU64,
    pub(crate) degraded: AtomicU64,
    pub(crate) revalidated: AtomicU64,
    pub(crate) epochs: AtomicU64,
    /// Entries in memory now, and what they weigh in bytes.
    pub(crate) memory_entries: AtomicU64,
    pub(crate) memory_bytes: AtomicU64,
    pub(crate) load_durations: Histogram,
    pub(crate) waits: Histogram,
    pub(crate) value_bytes: Histogram,
}

/// One counter for each variant of an enum.
pub(crate) type ByLabel<const N: usize> = [AtomicU64; N];

impl Default for Counters {
    fn default() -> Self {
        Self {
            hits_memory: Striped::default(),
            stale_memory: Striped::default(),
            hits_shared: AtomicU64::default(),
            stale_shared: AtomicU64::default(),
            misses: AtomicU64::default(),
            joined: AtomicU64::default(),
            bypassed: AtomicU64::default(),
            loads: AtomicU64::default(),
            results: Default::default(),
            refreshes: AtomicU64::default(),
            evictions: Default::default(),
            invalidations: Default::default(),
            invalidations_received: AtomicU64::default(),
            fenced: AtomicU64::default(),
            undecodable: AtomicU64::default(),
            opened_with_old_key: AtomicU64::default(),
            unsendable: Default::default(),
            shared_failed: AtomicU64::default(),
            degraded: AtomicU64::default(),
            revalidated: AtomicU64::default(),
            epochs: AtomicU64::default(),
            memory_entries: AtomicU64::default(),
            memory_bytes: AtomicU64::default(),
            load_durations: Histogram::new(&LOADS),
            waits: Histogram::new(&LOADS),
            value_bytes: Histogram::new(&BYTES),
        }
    }
}

impl Counters {
    /// Counts a fresh hit in memory: all that such a hit pays for.
    #[inline]
    pub(crate) fn hit(&self, slot: ThreadSlot) {
        self.hits_memory.count_at(slot);
    }

    /// Counts an event. Each variant adds to the counters of its name, and no other code adds to them.
    pub(crate) fn count(&self, kind: &EventKind<'_>) {
        match *kind {
            EventKind::Hit { tier: Tier::Memory, stale } => {
                self.hits_memory.count();
                if stale {
                    self.stale_memory.count();
                }
            }
            EventKind::Hit { tier: Tier::Shared, stale } => {
                count(&self.hits_shared);
                if stale {
                    count(&self.stale_shared);
                }
            }
            EventKind::Miss => count(&self.misses),
            EventKind::Joined => count(&self.joined),
            EventKind::Bypassed => count(&self.bypassed),
            EventKind::Waited { took } => self.waits.took(took),
            EventKind::Refreshing => count(&self.refreshes),
            EventKind::Loading => count(&self.loads),
            EventKind::Loaded { result, took } => {
                count(&self.results[result as usize]);
                self.load_durations.took(took);
            }
            EventKind::Stored { bytes } => self.value_bytes.add(bytes as u64),
            EventKind::Fenced => count(&self.fenced),
            EventKind::Degraded => count(&self.degraded),
            EventKind::Revalidated => count(&self.revalidated),
            EventKind::Undecodable => count(&self.undecodable),
            EventKind::OpenedWithOldKey => count(&self.opened_with_old_key),
            EventKind::Unsendable { reason } => count(&self.unsendable[reason as usize]),
            EventKind::SharedFailed => count(&self.shared_failed),
            EventKind::Evicted { cause } => count(&self.evictions[cause as usize]),
            EventKind::Invalidated { kind } => count(&self.invalidations[kind as usize]),
            EventKind::InvalidationReceived => count(&self.invalidations_received),
            EventKind::EpochBegan => count(&self.epochs),
            // Counted by the stream.
            EventKind::SharedStep { .. } | EventKind::Warned { .. } => {}
        }
    }

    pub(crate) fn entered_memory(&self, weight: u32) {
        self.memory_entries.fetch_add(1, Relaxed);
        self.memory_bytes.fetch_add(weight.into(), Relaxed);
    }

    pub(crate) fn left_memory(&self, weight: u32) {
        self.memory_entries.fetch_sub(1, Relaxed);
        self.memory_bytes.fetch_sub(weight.into(), Relaxed);
    }

    /// Entries in memory, and what they weigh.
    #[cfg(feature = "inspector")]
    pub(crate) fn in_memory(&self) -> (u64, u64) {
        (self.memory_entries.load(Relaxed), self.memory_bytes.load(Relaxed))
    }

    /// Hits in memory, and how many of them were stale.
    pub(crate) fn memory_hits(&self) -> (u64, u64) {
        (self.hits_memory.sum(), self.stale_memory.sum())
    }

    pub(crate) fn snapshot(&self) -> Stats {
        let (hits_memory, stale_memory) = self.memory_hits();
        let ended = |result: LoadResult| self.results[result as usize].load(Relaxed);
        let timeouts = ended(LoadResult::Timeout);
        Stats {
            hits_memory,
            hits_redis: self.hits_shared.load(Relaxed),
            stale_hits: stale_memory + self.stale_shared.load(Relaxed),
            misses: self.misses.load(Relaxed),
            loads: self.loads.load(Relaxed),
            load_errors: ended(LoadResult::Error) + ended(LoadResult::Panic) + timeouts,
            timeouts,
            joined: self.joined.load(Relaxed),
            bypassed: self.bypassed.load(Relaxed),
            refreshes: self.refreshes.load(Relaxed),
            evictions: sum(&self.evictions),
            invalidations: sum(&self.invalidations),
            fenced_publishes: self.fenced.load(Relaxed),
            undecodable: self.undecodable.load(Relaxed),
            opened_with_old_key: self.opened_with_old_key.load(Relaxed),
            unsendable: sum(&self.unsendable),
            redis_errors: self.shared_failed.load(Relaxed),
            degraded_loads: self.degraded.load(Relaxed),
            revalidated: self.revalidated.load(Relaxed),
            // The cache object fills in these fields.
            breaker: BreakerState::Closed,
            breaker_opened: 0,
            pending_invalidations: 0,
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

fn sum(counters: &[AtomicU64]) -> u64 {
    counters.iter().map(|counter| counter.load(Relaxed)).sum()
}

/// A counter with a slot for each thread, to avoid contention: hits are counted on every call.
#[derive(Debug, Default)]
struct Striped([Line; STRIPES]);

/// Fills its own cache lines (two: processors fetch them in pairs).
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line(AtomicU64);

impl Striped {
    fn count(&self) {
        self.count_at(ThreadSlot::mine());
    }

    /// The same for a thread whose slot is known.
    #[inline]
    fn count_at(&self, stripe: ThreadSlot) {
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
