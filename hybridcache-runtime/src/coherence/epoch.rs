//! Whether an entry can have missed an invalidation message.
//!
//! Messages arrive in order or not at all. A new connection begins a new *epoch*: an entry that was filled in an
//! earlier epoch may have missed a message. Within an epoch, each heartbeat that comes back proves that all messages
//! before it have arrived.
//!
//! [`Outage::Strict`] always requires that proof. [`Outage::Serve`] requires it only while there is a connection. The
//! task that maintains the connection replaces one without heartbeats, which begins a new epoch, before the proof is
//! too old. So if the proof is too old, that task did not run (for example because the process was suspended), and
//! messages may wait to be read.

use crate::coherence::outage::Outage;
use crate::primitives::clock::Millis;
use crate::primitives::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How many milliseconds an entry is trusted without proof that all messages arrive.
const WITHOUT_PROOF: Millis = 3_000;

/// The same for [`Outage::Serve`]: three heartbeats may be missing, and after the fourth was due the task has a second
/// to notice that.
const UNATTENDED: Millis = 5_000;

/// No epoch: no entry is of it.
const WATCHED: u64 = u64::MAX;

/// The state of the stream of messages.
#[derive(Debug)]
pub(crate) struct EpochClock {
    outage: Outage,
    epoch: AtomicU64,
    /// The epoch that the fast path of a hit compares with: [`WATCHED`] where hits are watched, so that each takes the slow path.
    for_hits: AtomicU64,
    is_watched: AtomicBool,
    /// Until then, an entry of the present epoch is trusted.
    until: AtomicU64,
    /// Whether there is a connection for messages.
    is_connected: AtomicBool,
}

/// The state at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EpochSnapshot {
    epoch: u64,
    until: Millis,
}

impl EpochClock {
    pub(crate) fn new(outage: Outage) -> Self {
        let until = match outage {
            Outage::Serve => Millis::MAX,
            Outage::Strict => 0,
        };
        Self {
            outage,
            epoch: AtomicU64::new(0),
            for_hits: AtomicU64::new(0),
            is_watched: AtomicBool::new(false),
            until: AtomicU64::new(until),
            is_connected: AtomicBool::new(false),
        }
    }

    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn now(&self) -> EpochSnapshot {
        EpochSnapshot { epoch: self.epoch(), until: self.until.load(Ordering::Acquire) }
    }

    /// The same for the fast path of a hit. Where hits are watched it holds for no entry, which costs an unwatched hit nothing.
    #[inline]
    pub(crate) fn for_hits(&self) -> EpochSnapshot {
        let epoch = self.for_hits.load(Ordering::Acquire);
        EpochSnapshot { epoch, until: self.until.load(Ordering::Acquire) }
    }

    /// Sends all hits down the slow path, or no longer.
    pub(crate) fn watch_hits(&self, watch: bool) {
        self.is_watched.store(watch, Ordering::SeqCst);
        self.set_for_hits();
    }

    fn set_for_hits(&self) {
        // Repeated until nothing has changed meanwhile: of two threads that set it at once, the later one has seen both changes.
        loop {
            let (epoch, watched) = (self.epoch.load(Ordering::SeqCst), self.is_watched.load(Ordering::SeqCst));
            self.for_hits.store(if watched { WATCHED } else { epoch }, Ordering::SeqCst);
            if (epoch, watched) == (self.epoch.load(Ordering::SeqCst), self.is_watched.load(Ordering::SeqCst)) {
                return;
            }
        }
    }

    /// There is a new connection: messages may have been lost before.
    pub(crate) fn begin_epoch(&self) {
        self.is_connected.store(true, Ordering::Release);
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.set_for_hits();
    }

    /// The connection is known to be lost. This and [`Self::proven`] are called from the same task, so neither
    /// overtakes the other.
    pub(crate) fn disconnected(&self) {
        self.is_connected.store(false, Ordering::Release);
        if self.outage == Outage::Serve {
            self.until.store(Millis::MAX, Ordering::Release);
        }
    }

    /// All messages that were sent before `moment` have arrived.
    pub(crate) fn proven(&self, moment: Millis) {
        match self.outage {
            Outage::Strict => drop(self.until.fetch_max(moment + WITHOUT_PROOF, Ordering::AcqRel)),
            Outage::Serve if self.is_connected.load(Ordering::Acquire) => {
                let until = moment + UNATTENDED;
                // The first proof of a connection ends the unlimited trust.
                let later = |known| (known == Millis::MAX || known < until).then_some(until);
                let _ = self.until.fetch_update(Ordering::AcqRel, Ordering::Acquire, later);
            }
            // The heartbeat belongs to a connection that is lost.
            Outage::Serve => {}
        }
    }

    /// `Outage::Strict`: entries expire without heartbeats.
    pub(crate) fn asks_for_proof(&self) -> bool {
        self.outage == Outage::Strict
    }

    /// `Outage::Serve`: entries that may have missed an invalidation are served while Redis cannot be reached.
    pub(crate) fn serves_unverified(&self) -> bool {
        self.outage == Outage::Serve
    }
}

/// When an entry was last known to have missed no invalidation. There may be millions of them: the epoch is in the high
/// bits of one word, and the moment in the low ones. After four million epochs every entry counts as unverified.
#[derive(Debug)]
pub(crate) struct VerifiedAt(AtomicU64);

/// A moment fits in for 139 years.
const BITS_OF_A_MOMENT: u32 = 42;

const LATEST: Millis = (1 << BITS_OF_A_MOMENT) - 1;

impl VerifiedAt {
    /// For an entry that began to be filled, or to be compared with the shared tier, at `at` in this epoch.
    pub(crate) fn new(epoch: u64, at: Millis) -> Self {
        Self(packed(epoch, at).into())
    }

    #[inline]
    pub(crate) fn holds(&self, now: Millis, trusted: EpochSnapshot) -> bool {
        let packed = self.0.load(Ordering::Acquire);
        packed >> BITS_OF_A_MOMENT == trusted.epoch && (now < trusted.until || now < (packed & LATEST) + WITHOUT_PROOF)
    }

    pub(crate) fn at(&self) -> Millis {
        self.0.load(Ordering::Acquire) & LATEST
    }

    pub(crate) fn renew(&self, epoch: u64, at: Millis) {
        self.0.fetch_max(packed(epoch, at), Ordering::AcqRel);
    }
}

fn packed(epoch: u64, at: Millis) -> u64 {
    epoch << BITS_OF_A_MOMENT | at.min(LATEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Killed by: comparing the epoch's low bits only; a moment that runs over into the epoch.
    #[test]
    fn what_does_not_fit_into_the_word_is_not_verified() {
        let trusted = |epoch| EpochSnapshot { epoch, until: 0 };
        for epoch in [0, 1, (1 << 22) - 1] {
            let verified = VerifiedAt::new(epoch, 10);
            assert!(verified.holds(3_009, trusted(epoch)) && !verified.holds(3_010, trusted(epoch)), "{epoch}");
            assert!(VerifiedAt::new(epoch, Millis::MAX).holds(LATEST, trusted(epoch)), "{epoch}");
            verified.renew(epoch, 1_000);
            verified.renew(epoch, 20);
            assert!(verified.holds(3_999, trusted(epoch)) && !verified.holds(4_000, trusted(epoch)), "{epoch}");
        }
        let late = VerifiedAt::new(1 << 22, 10);
        assert!(!late.holds(10, trusted(1 << 22)) && late.holds(10, trusted(0)), "no epoch has that number any more");
    }

    /// Killed by: trust for an epoch, whether its messages are read or not; asking for proof in an outage; a proof that
    /// comes after the connection was lost.
    #[test]
    fn what_is_served_in_an_outage_asks_for_proof_while_there_is_a_connection() {
        let trust = EpochClock::new(Outage::Serve);
        let filled = |at| VerifiedAt::new(trust.epoch(), at);
        assert!(filled(0).holds(1_000_000, trust.now()), "nobody has connected yet");
        trust.begin_epoch();
        let early = filled(10_000);
        trust.proven(10_000);
        assert!(early.holds(14_999, trust.now()));
        assert!(!early.holds(15_000, trust.now()), "nobody has read messages since");
        assert!(filled(14_000).holds(15_000, trust.now()), "compared with the shared tier a second ago");
        trust.proven(20_000);
        trust.proven(19_000);
        assert!(early.holds(24_999, trust.now()) && !early.holds(25_000, trust.now()));
        trust.disconnected();
        trust.proven(21_000);
        assert!(early.holds(1_000_000, trust.now()), "there is an outage, and that is known");
    }

    /// Killed by: no comparison of epochs; no end of trust under `Strict`; trust from when a heartbeat came back.
    #[test]
    fn proof_lasts_for_an_epoch_and_under_strict_for_three_seconds_more() {
        for (outage, lasts) in [(Outage::Serve, true), (Outage::Strict, false)] {
            let trust = EpochClock::new(outage);
            trust.proven(10_000);
            let proof = VerifiedAt::new(trust.epoch(), 9_000);
            assert!(proof.holds(12_999, trust.now()));
            assert_eq!(proof.holds(13_000, trust.now()), lasts);
            proof.renew(trust.epoch(), 12_000);
            assert!(proof.holds(14_999, trust.now()), "compared with the shared tier at 12 s");
            trust.begin_epoch();
            assert!(!proof.holds(12_999, trust.now()));
            proof.renew(trust.epoch() - 1, 12_500);
            assert!(!proof.holds(12_999, trust.now()), "asked before the gap");
            proof.renew(trust.epoch(), 12_500);
            assert!(proof.holds(12_999, trust.now()));
        }
    }
}
