//! Stamps: what makes a group of entries void at once. The namespace, each function and each tag has one.
//!
//! An entry remembers the stamps that stood when its load, or its reading from the shared tier, *began*; it is valid
//! while they still stand. So voiding a group costs one change, whatever its size, and hides a load that is still
//! running. In the shared tier a stamp is a random number (losing it can only cause misses); in this process it is a
//! counter of the changes that were heard of, beside what is known of the shared tier's number.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::remote::StampName;

/// One group's stamp as this process knows it.
#[derive(Debug)]
pub(crate) struct Stamp {
    pub(crate) name: StampName,
    /// Changes of which this process heard. Entries in memory compare it on each hit.
    generation: AtomicU64,
    remote: Mutex<Remote>,
}

/// The shared tier's number. A reading is accepted only if nothing happened since it was begun.
#[derive(Debug, Default)]
struct Remote {
    readings_void_before: u64,
    value: Option<u64>,
}

impl Stamp {
    fn new(name: StampName) -> Self {
        Self { name, generation: AtomicU64::new(0), remote: Mutex::default() }
    }

    /// Voids what was seen of it before.
    pub(crate) fn void(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.forget();
    }

    /// Forgets the shared tier's number: a message about it may have been lost.
    pub(crate) fn forget(&self) {
        let mut remote = self.remote.lock().unwrap_or_else(PoisonError::into_inner);
        remote.readings_void_before += 1;
        remote.value = None;
    }
}

/// The stamps that stood when something began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Box<[SeenStamp]>);

#[derive(Clone, Debug)]
struct SeenStamp {
    stamp: Arc<Stamp>,
    generation: u64,
    reading: u64,
}

impl Seen {
    pub(crate) fn capture<'a>(stamps: impl Iterator<Item = &'a Arc<Stamp>>) -> Self {
        Self(
            stamps
                .map(|stamp| SeenStamp {
                    stamp: stamp.clone(),
                    generation: stamp.generation.load(Ordering::SeqCst),
                    reading: stamp.remote.lock().unwrap_or_else(PoisonError::into_inner).readings_void_before,
                })
                .collect(),
        )
    }

    /// Whether all of them still stand.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        self.0.iter().all(|seen| seen.stamp.generation.load(Ordering::Acquire) == seen.generation)
    }

    /// Those whose number in the shared tier is not known.
    pub(crate) fn unknown(&self) -> Vec<StampName> {
        let known = |stamp: &Stamp| stamp.remote.lock().unwrap_or_else(PoisonError::into_inner).value.is_some();
        self.0.iter().filter(|seen| !known(&seen.stamp)).map(|seen| seen.stamp.name.clone()).collect()
    }

    /// Takes in what was read for `names`, unless it was voided since this was captured.
    pub(crate) fn learn(&self, names: &[StampName], values: &[u64]) {
        for (name, value) in names.iter().zip(values) {
            for seen in self.0.iter().filter(|seen| seen.stamp.name.hash == name.hash) {
                let mut remote = seen.stamp.remote.lock().unwrap_or_else(PoisonError::into_inner);
                if remote.readings_void_before == seen.reading {
                    remote.value = Some(*value);
                }
            }
        }
    }

    /// (hash, number) of each as the shared tier has it, in order; `None` while one is not known.
    pub(crate) fn remote(&self) -> Option<Vec<(u64, u64)>> {
        self.0
            .iter()
            .map(|seen| {
                let remote = seen.stamp.remote.lock().unwrap_or_else(PoisonError::into_inner);
                remote.value.map(|value| (seen.stamp.name.hash, value))
            })
            .collect()
    }
}

/// All stamps of a cache object, by the hash of their name.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    known: Mutex<HashMap<u64, Arc<Stamp>>>,
}

impl Stamps {
    pub(crate) fn named(&self, name: StampName) -> Arc<Stamp> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(name.hash).or_insert_with(|| Arc::new(Stamp::new(name))).clone()
    }

    /// Voids a stamp that another process changed. One that nobody here uses needs no voiding.
    pub(crate) fn void(&self, hash: u64) {
        let stamp = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned();
        if let Some(stamp) = stamp {
            stamp.void();
        }
    }

    /// Messages may have been lost: what is known of the shared tier is to be read anew.
    pub(crate) fn forget_all(&self) {
        let stamps: Vec<_> =
            self.known.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        stamps.iter().for_each(|stamp| stamp.forget());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp() -> (Stamps, Arc<Stamp>, StampName) {
        let name = StampName { key: "tag".into(), hash: 9 };
        let stamps = Stamps::default();
        let stamp = stamps.named(name.clone());
        (stamps, stamp, name)
    }

    #[test]
    fn voiding_hides_what_began_before() {
        let (stamps, stamp, _) = stamp();
        let before = Seen::capture([&stamp].into_iter());
        assert!(before.is_current());
        stamps.void(9);
        assert!(!before.is_current());
        assert!(Seen::capture([&stamp].into_iter()).is_current());
    }

    /// Killed by: accepting every reading in `learn`.
    #[test]
    fn a_reading_begun_before_a_change_is_not_learnt() {
        let (stamps, stamp, name) = stamp();
        let before = Seen::capture([&stamp].into_iter());
        stamps.void(9);
        before.learn(std::slice::from_ref(&name), &[7]);
        assert_eq!(before.remote(), None);
        let after = Seen::capture([&stamp].into_iter());
        after.learn(std::slice::from_ref(&name), &[8]);
        assert_eq!(after.remote(), Some(vec![(9, 8)]));
        stamps.forget_all();
        assert!(after.is_current(), "what memory holds stays");
        assert_eq!(after.remote(), None, "what is in the shared tier is read anew");
    }
}
