//! Ring buffers of recent hits.
//!
//! What moka keeps depends on the reads, but to notify it of one costs more than the rest of a hit. So a hit writes the
//! hash of its key to a ring, and a call that has to load passes some of the hashes on to moka: where nothing is
//! loaded, nothing has to be evicted. A long run of hits overwrites hashes that were not passed on. So that misses do
//! not count for more than hits, the same share of misses is then left out. (To notify moka of every n-th hit instead
//! lowers the hit ratio: moka then knows too few keys well.)
//!
//! How close this comes to a moka that is notified of every read: `benches/README.md`, "Hit ratio".

use std::ops::Range;

use crate::primitives::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::primitives::sync::{LockExt as _, Mutex, MutexGuard};
use crate::primitives::thread_slot::{STRIPES, ThreadSlot};

/// The number of hits in a ring. Few under shuttle, whose schedules cannot make as many.
const REMEMBERED: u64 = if cfg!(all(test, shuttle)) { 4 } else { 256 };

/// The number of hits that one load passes on to moka.
const TOLD_AT_ONCE: u64 = 16;

/// The number of hits over which the share of lost ones is estimated.
const MEMORY: u64 = 65_536;

/// The recent hits of a cache object, by threads.
#[derive(Debug, Default)]
pub(crate) struct Reads([Ring; STRIPES]);

/// Alone on its cache lines, as threads write to it on every hit. If two threads share a ring, some hits are lost.
#[derive(Debug)]
#[repr(align(128))]
struct Ring {
    written: AtomicU64,
    hashes: [AtomicU64; REMEMBERED as usize],
    heard: Mutex<Heard>,
}

/// The numbers of hits that were passed on to moka, and lost.
#[derive(Debug, Default)]
struct Heard {
    /// The number of hits that are accounted for.
    up_to: u64,
    told: u64,
    lost: u64,
}

impl Reads {
    #[inline]
    pub(crate) fn hit(&self, stripe: ThreadSlot, hash: u64) {
        let ring = &self.0[stripe.index()];
        let nth = ring.written.load(Relaxed);
        ring.written.store(nth + 1, Relaxed);
        ring.hashes[(nth % REMEMBERED) as usize].store(hash, Relaxed);
    }

    /// Called when a key is about to be loaded. Passes on hits of this thread's ring, or of another one if this thread
    /// has none. Returns whether the miss is passed on, too.
    pub(crate) fn tell(&self, tell: impl FnMut(u64)) -> bool {
        let mine = ThreadSlot::mine();
        let told = if self.0[mine.index()].has_news() { mine } else { mine.another() };
        self.0[told.index()].tell(tell)
    }

    /// The same for a given ring.
    #[cfg(all(test, shuttle))]
    pub(crate) fn tell_of(&self, stripe: ThreadSlot, tell: impl FnMut(u64)) {
        self.0[stripe.index()].tell(tell);
    }
}

impl Ring {
    fn has_news(&self) -> bool {
        self.written.load(Relaxed) > self.heard().up_to
    }

    fn tell(&self, tell: impl FnMut(u64)) -> bool {
        let (hits, is_miss_told) = self.heard().next(self.written.load(Relaxed));
        hits.map(|nth| self.hashes[(nth % REMEMBERED) as usize].load(Relaxed)).for_each(tell);
        is_miss_told
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock_unpoisoned()
    }
}

impl Heard {
    /// The hits to pass on next, if `written` were written; and whether a miss is passed on.
    fn next(&mut self, written: u64) -> (Range<u64>, bool) {
        // Threads that share a ring can reset its count to an older one.
        let known = self.up_to.min(written);
        let first = known.max(written.saturating_sub(REMEMBERED));
        let end = written.min(first + TOLD_AT_ONCE);
        self.lost += first - known;
        self.told += end - first;
        self.up_to = end;
        if self.told + self.lost > MEMORY {
            self.told /= 2;
            self.lost /= 2;
        }
        (first..end, fastrand::u64(..=self.told + self.lost) <= self.told)
    }
}

impl Default for Ring {
    fn default() -> Self {
        Self { written: AtomicU64::new(0), hashes: std::array::from_fn(|_| AtomicU64::new(0)), heard: Mutex::default() }
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    /// Killed by: telling what was overwritten; telling twice; telling all at once.
    #[test]
    fn what_is_still_remembered_is_told_once() {
        let (reads, mut told) = (Reads::default(), Vec::new());
        (1..=1_000).for_each(|hash| reads.hit(ThreadSlot::mine(), hash));
        for _ in 0..20 {
            let before = told.len();
            reads.tell(|hash| told.push(hash));
            assert!(told.len() - before <= TOLD_AT_ONCE as usize);
        }
        assert!(told.into_iter().eq(1_001 - REMEMBERED..=1_000));
    }
}
