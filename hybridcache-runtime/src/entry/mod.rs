//! A cached value with its times and its state.

pub(crate) mod amendment;
pub(crate) mod constants;
pub(crate) mod drops;
pub(crate) mod freshness;
pub(crate) mod lifetimes;
pub(crate) mod plan;
pub(crate) mod value_type;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use once_cell::race::OnceBox;

use crate::coherence::epoch::{EpochSnapshot, VerifiedAt};
use crate::coherence::stamps::StampSnapshot;
use crate::entry::lifetimes::LastPart;
use crate::function::call_key::PlainKey;
use crate::primitives::backoff::Backoff;
use crate::primitives::clock::{Clock, Millis};
use crate::primitives::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

/// The bytes of one entry beside its value, without another process or policy than the default: 120 are the entry's own
/// (with the counts of its `Arc` and the allocator's header), 32 its place in the index, and 25 to 55 its share of the
/// tables of the index, the ring and the sketch, which double when they grow. Measured by `benches/internal`, `resident`.
const OVERHEAD: usize = 200;

/// A value in memory. Values of all types are in one store, so the type is erased. The downcast on a hit also prevents
/// that two functions under one explicit name mix up their types.
#[derive(Debug)]
pub(crate) struct Entry<V: ?Sized = dyn Any + Send + Sync> {
    pub(crate) meta: Meta,
    pub(crate) value: V,
}

/// All of an entry but its value. There may be millions of them, so each word counts.
#[derive(Debug)]
pub(crate) struct Meta {
    pub(crate) key: PlainKey,
    /// Until when a hit needs no other look: the end of freshness, or the beginning of its last part.
    plain_until: Millis,
    pub(crate) expires_at: Millis,
    /// The stamps as they were when the load began.
    pub(crate) seen: StampSnapshot,
    pub(crate) proof: VerifiedAt,
    /// The weight in bytes, for the bound of memory.
    pub(crate) weight: u32,
    /// The place in memory's policy, which alone uses it, under memory's lock.
    place: AtomicU32,
    life: Life,
    /// The number of hits since the policy last took them into account, up to [`MOST_VISITS`].
    visits: AtomicU8,
    seldom: OnceBox<RareFields>,
}

/// Fields that only entries with a fence, or stale entries, need.
#[derive(Debug, Default)]
struct RareFields {
    fence: Option<Fence>,
    /// When the load began of an entry with a fence. It wraps around: that may be before this process began.
    loaded_at: AtomicU64,
    refresh: Refresh,
    early: OnceBox<Early>,
}

/// An entry whose refresh starts in the last part of its freshness.
#[derive(Debug)]
struct Early {
    fresh_until: Millis,
    draws_by: Option<f64>,
}

/// Tells entries of one key apart in the shared tier: the token of the lease under which each was loaded.
pub(crate) type Fence = [u8; 16];

/// Freshness and expiry deadlines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    pub(crate) fresh_until: Millis,
    pub(crate) expires_at: Millis,
}

/// The circumstances of an entry's load or read, all captured before it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FilledUnder<'a> {
    pub(crate) seen: &'a StampSnapshot,
    pub(crate) epoch: u64,
    pub(crate) began: Millis,
}

/// How a reader may use an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Fresh,
    /// Usable, and due for a refresh.
    Stale,
    /// Fresh or stale, but it may have missed its invalidation.
    Unverified,
    /// Past its lifetime, invalidated, or replaced: not usable.
    Gone,
}

impl Meta {
    /// `origin` was captured before the value was loaded or read, so the value is no older than it.
    pub(crate) fn new(key: &PlainKey, times: Deadlines, origin: FilledUnder<'_>, fence: Option<Fence>) -> Self {
        Self {
            key: key.clone(),
            plain_until: times.fresh_until.min(times.expires_at),
            expires_at: times.expires_at,
            seen: key.function.settled(origin.seen),
            proof: VerifiedAt::new(origin.epoch, origin.began),
            weight: 0,
            place: AtomicU32::new(0),
            life: Life::default(),
            visits: AtomicU8::new(0),
            seldom: match fence {
                None => OnceBox::new(),
                fence => {
                    let loaded_at = origin.began.into();
                    OnceBox::with_value(Box::new(RareFields { fence, loaded_at, ..RareFields::default() }))
                }
            },
        }
    }

    /// Sets the times, which may be known only after the value was decoded.
    pub(crate) fn limit(&mut self, times: Deadlines) {
        (self.plain_until, self.expires_at) = (times.fresh_until.min(times.expires_at), times.expires_at);
    }

    /// Hits may start the refresh in the last part of the freshness. Called once, after the times are known.
    pub(crate) fn refresh_ahead(&mut self, last: LastPart) {
        let fresh_until = self.plain_until;
        let early = Box::new(Early { fresh_until, draws_by: last.draws_by });
        if self.seldom.get_or_init(Box::default).early.set(early).is_ok() {
            self.plain_until = fresh_until.saturating_sub(last.millis);
        }
    }

    pub(crate) fn fresh_until(&self) -> Millis {
        self.early().map_or(self.plain_until, |early| early.fresh_until)
    }

    fn early(&self) -> Option<&Early> {
        self.seldom.get()?.early.get()
    }

    /// Whether a hit on this fresh entry starts its refresh. Each hit draws for itself where the draw decides.
    pub(crate) fn starts_refresh(&self, now: Millis) -> bool {
        let Some(early) = self.early() else { return false };
        let draw = |cost: f64| now as f64 - cost * (1.0 - fastrand::f64()).ln() >= early.fresh_until as f64;
        now >= self.plain_until && early.draws_by.is_none_or(draw)
    }

    /// Whether it is in the last part of its freshness, or stale.
    pub(crate) fn is_in_last_part(&self, now: Millis) -> bool {
        now >= self.plain_until
    }

    /// Sets the age of an entry with a fence: a read entry was loaded before it was read.
    pub(crate) fn set_age(&self, now: Millis, age: Millis) {
        if let Some(seldom) = self.seldom.get() {
            seldom.loaded_at.store(now.wrapping_sub(age), Ordering::Relaxed);
        }
    }

    /// How long ago its load began.
    pub(crate) fn age(&self, now: Millis) -> Duration {
        let loaded_at = match self.seldom.get() {
            Some(seldom) if seldom.fence.is_some() => seldom.loaded_at.load(Ordering::Relaxed),
            // Such an entry is never compared with the shared tier, so its proof is from its load.
            _ => self.proof.at(),
        };
        Duration::from_millis(now.wrapping_sub(loaded_at))
    }

    /// The fence of the entry in the shared tier; `None` if it is not there.
    pub(crate) fn fence(&self) -> Option<Fence> {
        self.seldom.get()?.fence
    }

    /// Sets the weight: `value` bytes, the key's, and the bookkeeping.
    pub(crate) fn weigh(&mut self, value: usize) {
        let bytes = value.saturating_add(self.key.bytes_on_heap()).saturating_add(OVERHEAD);
        self.weight = u32::try_from(bytes).unwrap_or(u32::MAX);
    }

    /// The size of the value: [`Self::weight`] without the rest.
    pub(crate) fn value_bytes(&self) -> usize {
        (self.weight as usize).saturating_sub(self.key.bytes_on_heap()).saturating_sub(OVERHEAD)
    }

    /// Fresh, and no hit may start a refresh: nearly every hit is. In fewer steps than `state()`.
    #[inline]
    pub(crate) fn is_fresh(&self, now: Millis, trusted: EpochSnapshot) -> bool {
        self.life.0.load(Ordering::Acquire) == ALIVE
            && now < self.plain_until
            && self.seen.is_current()
            && self.proof.holds(now, trusted)
    }

    pub(crate) fn state(&self, now: Millis, trusted: EpochSnapshot) -> State {
        match self.unproven_state(now) {
            State::Fresh | State::Stale if !self.proof.holds(now, trusted) => State::Unverified,
            state => state,
        }
    }

    /// The state on the assumption that no message was missed.
    pub(crate) fn unproven_state(&self, now: Millis) -> State {
        let life = self.life.0.load(Ordering::Acquire);
        if life == DEAD || now >= self.expires_at || !self.seen.is_current() {
            State::Gone
        } else if life == EXPIRED_BY_HAND || now >= self.fresh_until() {
            State::Stale
        } else {
            State::Fresh
        }
    }

    /// Counts a hit. An entry that is read all the time is not written to.
    #[inline]
    pub(crate) fn visit(&self) {
        let visits = self.visits();
        if visits < MOST_VISITS {
            // Of two threads at this point one may be lost, and so may the policy's zero.
            self.visits.store(visits + 1, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(crate) fn visits(&self) -> u8 {
        self.visits.load(Ordering::Relaxed)
    }

    /// The number of visits, which begins again at zero.
    pub(crate) fn take_visits(&self) -> u8 {
        let visits = self.visits();
        if visits > 0 {
            self.visits.store(0, Ordering::Relaxed);
        }
        visits
    }

    /// This entry replaces `other`, and stays where that one was.
    pub(crate) fn succeed(&self, other: &Self) {
        self.set_place(other.place());
        self.visits.store(other.visits(), Ordering::Relaxed);
    }

    pub(crate) fn place(&self) -> u32 {
        self.place.load(Ordering::Relaxed)
    }

    pub(crate) fn set_place(&self, place: u32) {
        self.place.store(place, Ordering::Relaxed);
    }

    /// The entry was evicted, replaced or invalidated: a call that still holds it must not serve it.
    pub(crate) fn kill(&self) {
        self.life.0.store(DEAD, Ordering::Release);
    }

    #[cfg(test)]
    pub(crate) fn is_dead(&self) -> bool {
        self.life.0.load(Ordering::Acquire) == DEAD
    }

    /// Makes the entry stale from now on.
    pub(crate) fn expire(&self) {
        // A dead entry stays dead.
        let _ = self.life.0.compare_exchange(ALIVE, EXPIRED_BY_HAND, Ordering::AcqRel, Ordering::Acquire);
        // A refresh from before may load the older value. From here on a new refresh may begin, and its result counts.
        if let Some(seldom) = self.seldom.get() {
            seldom.refresh.begin_anew();
        }
    }

    fn refresh(&self) -> &Refresh {
        &self.seldom.get_or_init(Box::default).refresh
    }
}

/// An entry whose value is a pointer takes 120 bytes then, which `malloc` serves from 128.
#[cfg(not(all(test, shuttle)))]
const _: () = assert!(size_of::<Meta>() <= 96);

/// As many as two bits hold.
const MOST_VISITS: u8 = 3;

#[derive(Debug, Default)]
struct Life(AtomicU8);

const ALIVE: u8 = 0;
const EXPIRED_BY_HAND: u8 = 1;
const DEAD: u8 = 2;

/// When the next refresh of a stale entry may begin.
#[derive(Debug, Default)]
struct Refresh {
    /// Odd while a refresh runs. It counts up, so that a refresh which an expiration has overtaken changes nothing when
    /// it ends.
    attempt: AtomicU64,
    not_before: AtomicU64,
    failures: AtomicU32,
}

impl Refresh {
    /// Resets the state: the refresh that runs now is of no use.
    fn begin_anew(&self) {
        // To the next even number. This comes first: a claim that ends writes its pause, and then checks whether the
        // number is still its own.
        let _ = self.attempt.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |attempt| Some((attempt | 1) + 1));
        self.forget_failures();
    }

    fn forget_failures(&self) {
        self.failures.store(0, Ordering::SeqCst);
        self.not_before.store(0, Ordering::SeqCst);
    }

    fn end(&self, attempt: u64) {
        let _ = self.attempt.compare_exchange(attempt, attempt + 1, Ordering::AcqRel, Ordering::Acquire);
    }
}

const PAUSES: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));

/// The right to refresh an entry, which has at most one valid claim. Dropped without [`RefreshClaim::done`], it counts
/// as failed, and the next attempt waits: 1 s, doubling to 30 s, less up to a quarter at random.
#[derive(Debug)]
pub(crate) struct RefreshClaim {
    entry: Arc<Entry>,
    attempt: u64,
    clock: Clock,
    failed: bool,
}

impl RefreshClaim {
    /// Whether [`Self::take`] would return a claim now.
    pub(crate) fn is_due(entry: &Entry, now: Millis) -> bool {
        entry.meta.seldom.get().is_none_or(|seldom| {
            let attempt = seldom.refresh.attempt.load(Ordering::Acquire);
            attempt % 2 == 0 && now >= seldom.refresh.not_before.load(Ordering::Acquire)
        })
    }

    /// Whether a refresh of the entry runs.
    pub(crate) fn is_taken(entry: &Entry) -> bool {
        entry.meta.seldom.get().is_some_and(|seldom| seldom.refresh.attempt.load(Ordering::Acquire) % 2 == 1)
    }

    pub(crate) fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// Whether the entry with this fence in the shared tier is the one that is to be replaced.
    pub(crate) fn replaces(&self, fence: &[u8]) -> bool {
        self.entry.meta.fence().is_some_and(|own| own[..] == *fence)
    }

    /// `None` while another call holds the claim, or if the last attempt failed a short while ago.
    pub(crate) fn take(entry: &Arc<Entry>, clock: Clock, now: Millis) -> Option<Self> {
        let refresh = entry.meta.refresh();
        let attempt = refresh.attempt.load(Ordering::Acquire);
        // The time is read after the number: a claim that ends between the two changes the number, and the exchange
        // below fails.
        if attempt % 2 == 1 || now < refresh.not_before.load(Ordering::Acquire) {
            return None;
        }
        refresh.attempt.compare_exchange(attempt, attempt + 1, Ordering::AcqRel, Ordering::Acquire).ok()?;
        Some(Self { entry: entry.clone(), attempt: attempt + 1, clock, failed: true })
    }

    /// The refresh has stored another value, or nothing was tried: this attempt does not count as failed.
    pub(crate) fn done(mut self) {
        self.failed = false;
    }
}

impl Drop for RefreshClaim {
    fn drop(&mut self) {
        let refresh = self.entry.meta.refresh();
        if self.failed && refresh.attempt.load(Ordering::Acquire) == self.attempt {
            let failures = refresh.failures.fetch_add(1, Ordering::AcqRel);
            let pause = PAUSES.pause(failures).as_millis() as u64;
            let pause = pause - fastrand::u64(..=pause / 4);
            refresh.not_before.store(self.clock.now() + pause, Ordering::SeqCst);
            // An expiration came between the check and the store of the pause: undo it, or the expired entry would wait
            // for it.
            if refresh.attempt.load(Ordering::SeqCst) != self.attempt {
                refresh.forget_failures();
            }
        }
        refresh.end(self.attempt);
    }
}
