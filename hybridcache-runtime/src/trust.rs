//! Whether entries can have missed their invalidation.
//!
//! Messages arrive in order or not at all. A new connection begins a new *epoch*: what was filled in an earlier one may
//! have missed a message. Within an epoch each heartbeat that comes back proves that all messages before it have arrived;
//! only [`Outage::Strict`] asks for that.

use crate::clock::Millis;
use crate::policy::Outage;
use crate::sync::atomic::{AtomicU64, Ordering};

/// For how many milliseconds an entry is trusted without proof that all messages arrive.
const WITHOUT_PROOF: Millis = 3_000;

/// What is known of the stream of messages.
#[derive(Debug)]
pub(crate) struct Trust {
    outage: Outage,
    epoch: AtomicU64,
    /// Until then what belongs to the epoch is trusted.
    until: AtomicU64,
}

/// The same at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trusted {
    epoch: u64,
    until: Millis,
}

impl Trust {
    pub(crate) fn new(outage: Outage) -> Self {
        let until = match outage {
            Outage::Serve => Millis::MAX,
            Outage::Strict => 0,
        };
        Self { outage, epoch: AtomicU64::new(0), until: AtomicU64::new(until) }
    }

    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn now(&self) -> Trusted {
        Trusted { epoch: self.epoch(), until: self.until.load(Ordering::Acquire) }
    }

    /// Messages may have been lost.
    pub(crate) fn begin_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// All that were sent before `moment` have arrived.
    pub(crate) fn proven(&self, moment: Millis) {
        if self.outage == Outage::Strict {
            self.until.fetch_max(moment + WITHOUT_PROOF, Ordering::AcqRel);
        }
    }

    /// Whether silence says nothing.
    pub(crate) fn asks_for_proof(&self) -> bool {
        self.outage == Outage::Strict
    }

    /// Whether entries that may have missed their invalidation are served as long as nobody can be asked.
    pub(crate) fn serves_suspects(&self) -> bool {
        self.outage == Outage::Serve
    }
}

/// What one entry is known to have heard.
#[derive(Debug)]
pub(crate) struct Proof {
    epoch: AtomicU64,
    at: AtomicU64,
}

impl Proof {
    /// Of what began to be filled, or compared with the shared tier, at a moment of an epoch.
    pub(crate) fn new(epoch: u64, at: Millis) -> Self {
        Self { epoch: epoch.into(), at: at.into() }
    }

    #[inline]
    pub(crate) fn holds(&self, now: Millis, trusted: Trusted) -> bool {
        self.epoch.load(Ordering::Acquire) == trusted.epoch
            && (now < trusted.until || now < self.at.load(Ordering::Acquire) + WITHOUT_PROOF)
    }

    pub(crate) fn renew(&self, epoch: u64, at: Millis) {
        self.at.fetch_max(at, Ordering::AcqRel);
        self.epoch.fetch_max(epoch, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Killed by: no comparison of epochs; no end of trust under `Strict`; trust from when a heartbeat came back.
    #[test]
    fn proof_lasts_for_an_epoch_and_under_strict_for_three_seconds_more() {
        for (outage, lasts) in [(Outage::Serve, true), (Outage::Strict, false)] {
            let trust = Trust::new(outage);
            trust.proven(10_000);
            let proof = Proof::new(trust.epoch(), 9_000);
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
