//! Gives each thread its own slot in the counters and rings that all threads write to.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

/// The number of slots of any state that threads must not contend for.
pub(crate) const STRIPES: usize = 16;

/// A thread's slot. All slots but one belong to one thread at a time; the threads for which no slot is left share that
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadSlot(u8);

const SHARED: ThreadSlot = ThreadSlot(0);
const UNDECIDED: ThreadSlot = ThreadSlot(u8::MAX);

/// One bit for each slot that has an owner; the shared slot counts as taken.
static TAKEN: AtomicU32 = AtomicU32::new(1);

thread_local! {
    static MINE: Cell<ThreadSlot> = const { Cell::new(UNDECIDED) };
    /// Separate from `MINE`: each access to a thread-local value with a destructor checks whether it was dropped.
    static LEASE: SlotOwner = SlotOwner::take();
}

impl ThreadSlot {
    #[inline]
    pub(crate) fn mine() -> Self {
        match MINE.get() {
            UNDECIDED => Self::decide(),
            mine => mine,
        }
    }

    #[inline]
    pub(crate) fn index(self) -> usize {
        usize::from(self.0) % STRIPES
    }

    #[inline]
    pub(crate) fn is_shared(self) -> bool {
        self == SHARED
    }

    #[cold]
    fn decide() -> Self {
        // A thread that is ending owns no slot any more.
        let mine = LEASE.try_with(|lease| lease.stripe).unwrap_or(SHARED);
        MINE.set(mine);
        mine
    }
}

/// Held by a thread as long as it runs.
struct SlotOwner {
    stripe: ThreadSlot,
}

impl SlotOwner {
    fn take() -> Self {
        let take = |taken: u32| (taken.trailing_ones() < STRIPES as u32).then(|| taken | (taken + 1));
        // Acquires the writes of the slot's former owner.
        let before = TAKEN.fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
        Self { stripe: before.map_or(SHARED, |taken| ThreadSlot(taken.trailing_ones() as u8)) }
    }
}

impl Drop for SlotOwner {
    fn drop(&mut self) {
        // The destructors that run in this thread after this one use the shared slot.
        MINE.set(SHARED);
        if !self.stripe.is_shared() {
            TAKEN.fetch_and(!(1 << self.stripe.0), Ordering::AcqRel);
        }
    }
}
