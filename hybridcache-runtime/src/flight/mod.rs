//! One load per key in this process: single-flight, as in Go's `golang.org/x/sync/singleflight`.
//!
//! A call that misses a key leads its flight, or joins the flight under way. An invalidation *detaches* the flight:
//! calls that joined before may still get its result, but the result can no longer be stored, and later calls start a
//! new flight. Storing in memory, detaching and joining happen under one lock for each stripe of keys, so that no
//! result is stored after the invalidation that detached its flight has returned.

pub(crate) mod inline;
pub(crate) mod outcome;

mod leader;
pub(crate) mod registry;
#[cfg(test)]
mod tests;
mod waiter;

use std::ops::ControlFlow;
use std::sync::Arc;

pub(crate) use self::leader::{Attachment, Leader};
pub(crate) use self::registry::Flights;
use self::registry::{Flight, current};
pub(crate) use self::waiter::{Joined, Joiner};
use crate::coherence::stamps::StampSnapshot;
use crate::function::call_key::Key;
use crate::primitives::sync::Mutex;

/// The part of a call that missed memory.
#[derive(Debug)]
pub(crate) enum Claim {
    /// No flight is under way: run this one.
    Lead(Leader),
    /// A flight is under way.
    Join(Joiner),
}

impl Flights {
    /// Joins the key's flight, or starts one. A flight that began before one of its stamps was voided cannot be joined.
    #[cfg(any(test, feature = "http"))]
    pub(crate) fn claim(self: &Arc<Self>, key: &Arc<Key>, seen: impl FnOnce() -> StampSnapshot) -> Claim {
        self.claim_in(&mut self.stripe(key.id()), key, seen)
    }

    /// The same, unless memory has the answer. `answer` looks in memory under the lock under which flights store, so no
    /// flight stores between the look and the claim.
    pub(crate) fn claim_unless<A>(
        self: &Arc<Self>,
        key: &Arc<Key>,
        answer: impl FnOnce() -> Option<A>,
        seen: impl FnOnce() -> StampSnapshot,
    ) -> ControlFlow<A, Claim> {
        let mut stripe = self.stripe(key.id());
        match answer() {
            Some(answer) => ControlFlow::Break(answer),
            None => ControlFlow::Continue(self.claim_in(&mut stripe, key, seen)),
        }
    }

    fn claim_in(
        self: &Arc<Self>,
        stripe: &mut Vec<Arc<Flight>>,
        key: &Arc<Key>,
        seen: impl FnOnce() -> StampSnapshot,
    ) -> Claim {
        match current(stripe, key) {
            Some(flight) => Claim::Join(Joiner::new(flight.clone())),
            None => Claim::Lead(self.start(key, seen(), stripe)),
        }
    }

    /// Starts a flight unless one is under way. The stamps are captured under the lock: a gap in the messages before
    /// that either detaches the flight or shows in the captured stamps.
    pub(crate) fn lead(self: &Arc<Self>, key: &Arc<Key>, seen: impl FnOnce() -> StampSnapshot) -> Option<Leader> {
        self.lead_in(&mut self.stripe(key.id()), key, seen)
    }

    fn lead_in(
        self: &Arc<Self>,
        stripe: &mut Vec<Arc<Flight>>,
        key: &Arc<Key>,
        seen: impl FnOnce() -> StampSnapshot,
    ) -> Option<Leader> {
        match current(stripe, key) {
            Some(_) => None,
            None => Some(self.start(key, seen(), stripe)),
        }
    }

    /// Joins the key's flight, if one is under way.
    pub(crate) fn join(&self, key: &Key) -> Option<Joiner> {
        current(&mut self.stripe(key.id()), key).map(|flight| Joiner::new(flight.clone()))
    }

    /// Starts a flight even if one is under way. That one is detached: its result is older.
    pub(crate) fn supersede(self: &Arc<Self>, key: &Arc<Key>, seen: impl FnOnce() -> StampSnapshot) -> Leader {
        let mut stripe = self.stripe(key.id());
        stripe.retain(|flight| *flight.key != **key);
        self.start(key, seen(), &mut stripe)
    }

    /// Reserves the key for a value that a put stores, beside any flight under way. No call can join it.
    pub(crate) fn reserve(self: &Arc<Self>, key: &Arc<Key>, seen: StampSnapshot) -> Leader {
        let flight = Arc::new(Flight { key: key.clone(), seen, joinable: false, progress: Mutex::default() });
        self.stripe(key.id()).push(flight.clone());
        Leader { flights: self.clone(), flight }
    }

    /// A flight that no call can join and that stores nothing: it is in no stripe.
    pub(crate) fn solo(self: &Arc<Self>, key: &Arc<Key>) -> Leader {
        self.start(key, StampSnapshot::default(), &mut Vec::new())
    }

    fn start(self: &Arc<Self>, key: &Arc<Key>, seen: StampSnapshot, stripe: &mut Vec<Arc<Flight>>) -> Leader {
        let flight = Arc::new(Flight { key: key.clone(), seen, joinable: true, progress: Mutex::default() });
        stripe.push(flight.clone());
        Leader { flights: self.clone(), flight }
    }
}
