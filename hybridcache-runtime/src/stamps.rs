//! Stamps: what makes a group of entries void at once. The namespace, each function and each tag has one.
//!
//! An entry remembers the stamps that stood when its load, or its reading from the shared tier, *began*; it is valid
//! while they still stand. So voiding a group costs one change, whatever its size, and hides a load that is still
//! running. In the shared tier a stamp is a random number (losing it can only cause misses); in this process it is a
//! counter of the changes that were heard of, beside what is known of the shared tier's number.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::envelope::StampValues;
use crate::remote::StampName;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};

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
    read_at: Option<Instant>,
}

/// How long a number is known. The shared tier may lose a stamp, and another process make a new one; without reading it
/// again the two would never find each other's entries.
const KNOWN_FOR: Duration = Duration::from_secs(10);

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

/// The stamps that stood when something began. Clones are the same. (Behind a thin pointer, since each entry has one.)
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Vec<SeenStamp>>);

#[derive(Debug)]
struct SeenStamp {
    stamp: Arc<Stamp>,
    generation: u64,
    reading: u64,
    /// The shared tier's number, zero while it is not known. What is published carries *this* one: the number that
    /// stands by then may be younger than the load.
    value: AtomicU64,
}

impl Seen {
    pub(crate) fn capture<'a>(stamps: impl Iterator<Item = &'a Arc<Stamp>>) -> Self {
        Self(Arc::new(stamps.map(SeenStamp::capture).collect()))
    }

    /// The same, and others that are captured now.
    #[cfg(feature = "http")]
    pub(crate) fn and<'a>(&self, stamps: impl Iterator<Item = &'a Arc<Stamp>>) -> Self {
        Self(Arc::new(self.0.iter().map(SeenStamp::settled).chain(stamps.map(SeenStamp::capture)).collect()))
    }

    /// As they are known now: what is learnt from here on is not taken in.
    fn settled(&self) -> Self {
        Self(Arc::new(self.0.iter().map(SeenStamp::settled).collect()))
    }

    /// Whether the same stamps stood, under the same numbers.
    fn is_like(&self, other: &Self) -> bool {
        self.len() == other.len() && self.0.iter().zip(&*other.0).all(|(one, other)| one.is_like(other))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether all of them still stand.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        self.0.iter().all(|seen| seen.stamp.generation.load(Ordering::Acquire) == seen.generation)
    }

    /// Those whose number in the shared tier is not known.
    pub(crate) fn unknown(&self) -> Vec<StampName> {
        self.names_where(|seen| seen.value.load(Ordering::Acquire) == 0)
    }

    /// Those whose number is not the one that an entry carries at their place.
    pub(crate) fn other_than(&self, carried: &[(u64, u64)]) -> Vec<StampName> {
        self.names_where(|seen| !carried.contains(&(seen.stamp.name.hash, seen.value.load(Ordering::Acquire))))
    }

    fn names_where(&self, predicate: impl Fn(&SeenStamp) -> bool) -> Vec<StampName> {
        self.0.iter().filter(|seen| predicate(seen)).map(|seen| seen.stamp.name.clone()).collect()
    }

    /// Has all of them read again, whatever is known: nothing tells whether a message about one was lost.
    pub(crate) fn doubt(&self) {
        self.0.iter().for_each(|seen| seen.value.store(0, Ordering::Release));
    }

    /// Takes in what was read for `names`, unless it was voided since this was captured.
    pub(crate) fn learn(&self, names: &[StampName], values: impl IntoIterator<Item = Option<u64>>) {
        for (name, value) in names.iter().zip(values) {
            for seen in self.0.iter().filter(|seen| seen.stamp.name.hash == name.hash) {
                seen.learn(value);
            }
        }
    }

    /// (hash, number) of each as the shared tier had it, in order; `None` while one is not known.
    pub(crate) fn remote(&self) -> Option<StampValues> {
        let number = |seen: &SeenStamp| match seen.value.load(Ordering::Acquire) {
            0 => None,
            value => Some((seen.stamp.name.hash, value)),
        };
        self.0.iter().map(number).collect()
    }
}

impl SeenStamp {
    fn capture(stamp: &Arc<Stamp>) -> Self {
        let generation = stamp.generation.load(Ordering::SeqCst);
        let remote = stamp.remote.lock().unwrap_or_else(PoisonError::into_inner);
        let known = remote.value.filter(|_| remote.read_at.is_some_and(|read_at| read_at.elapsed() < KNOWN_FOR));
        let (reading, value) = (remote.readings_void_before, AtomicU64::new(known.unwrap_or(0)));
        Self { stamp: stamp.clone(), generation, reading, value }
    }

    fn settled(&self) -> Self {
        let Self { stamp, generation, reading, value } = self;
        Self {
            stamp: stamp.clone(),
            generation: *generation,
            reading: *reading,
            value: value.load(Ordering::Acquire).into(),
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        let numbers = (self.value.load(Ordering::Acquire), other.value.load(Ordering::Acquire));
        Arc::ptr_eq(&self.stamp, &other.stamp) && self.generation == other.generation && numbers.0 == numbers.1
    }

    fn learn(&self, value: Option<u64>) {
        let mut remote = self.stamp.remote.lock().unwrap_or_else(PoisonError::into_inner);
        if remote.readings_void_before == self.reading {
            if remote.value.is_some() && remote.value != value {
                // It changed, and the message about that was lost.
                self.stamp.generation.fetch_add(1, Ordering::SeqCst);
            }
            remote.value = value;
            remote.read_at = Some(Instant::now());
            self.value.store(value.unwrap_or(0), Ordering::Release);
        }
    }
}

/// What the entries of one function share as long as nothing is voided: all that have no tags were loaded under the same
/// stamps.
#[derive(Debug, Default)]
pub(crate) struct Settled(Mutex<Seen>);

/// The namespace's stamp and the function's.
const WITHOUT_TAGS: usize = 2;

impl Settled {
    /// The same stamps, for an entry to keep.
    pub(crate) fn share(&self, seen: &Seen) -> Seen {
        if seen.len() != WITHOUT_TAGS {
            return seen.clone();
        }
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !last.is_like(seen) {
            *last = seen.settled();
        }
        last.clone()
    }
}

/// The stamps of a cache object that anybody uses, by the hash of their name. Tags come from data: those that nothing
/// carries any more are forgotten.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    stamps: HashMap<u64, Weak<Stamp>>,
    /// How many there may be before the unused ones among them are looked for.
    sweep_at: usize,
    /// The latest that were voided, whether anything here carried them or not, and how many there have been.
    voided: VecDeque<u64>,
    voids: u64,
}

/// How many voided stamps are remembered: those that are voided while one value is loaded.
const REMEMBERED: usize = 1024;

/// A moment: what was voided before it is not asked for.
#[cfg(any(test, feature = "http"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watermark(u64);

impl Stamps {
    pub(crate) fn named(&self, name: StampName) -> Arc<Stamp> {
        let mut known = self.known();
        if let Some(stamp) = known.stamps.get(&name.hash).and_then(Weak::upgrade) {
            return stamp;
        }
        if known.stamps.len() >= known.sweep_at {
            known.stamps.retain(|_, stamp| stamp.strong_count() > 0);
            known.sweep_at = 2 * known.stamps.len() + 1024;
        }
        let hash = name.hash;
        let stamp = Arc::new(Stamp::new(name));
        known.stamps.insert(hash, Arc::downgrade(&stamp));
        stamp
    }

    /// Voids a stamp that another process changed. One that nobody here uses needs no voiding.
    pub(crate) fn void(&self, hash: u64) {
        let stamp = self.note(hash);
        if let Some(stamp) = stamp {
            stamp.void();
        }
    }

    /// Notes what is about to be voided, for those who learn only later that they carry it. Returns it where it is used.
    pub(crate) fn note(&self, hash: u64) -> Option<Arc<Stamp>> {
        let mut known = self.known();
        known.voids += 1;
        known.voided.push_back(hash);
        if known.voided.len() > REMEMBERED {
            known.voided.pop_front();
        }
        known.stamps.get(&hash).and_then(Weak::upgrade)
    }

    #[cfg(any(test, feature = "http"))]
    pub(crate) fn watermark(&self) -> Watermark {
        Watermark(self.known().voids)
    }

    /// Whether one of these may have been voided since. To be asked after they were captured: then whatever comes later
    /// changes their generation.
    #[cfg(any(test, feature = "http"))]
    pub(crate) fn any_voided_since(&self, Watermark(before): Watermark, mut hashes: impl Iterator<Item = u64>) -> bool {
        let known = self.known();
        let since = usize::try_from(known.voids - before).unwrap_or(usize::MAX);
        let recent = known.voided.len().checked_sub(since);
        recent.is_none_or(|first| hashes.any(|hash| known.voided.range(first..).any(|voided| *voided == hash)))
    }

    /// The shared tier's number was changed, and nothing here is void for it.
    pub(crate) fn forget(&self, hash: u64) {
        let stamp = self.known().stamps.get(&hash).and_then(Weak::upgrade);
        if let Some(stamp) = stamp {
            stamp.forget();
        }
    }

    /// Messages may have been lost: what is known of the shared tier is to be read anew.
    pub(crate) fn forget_all(&self) {
        let stamps: Vec<_> = self.known().stamps.values().filter_map(Weak::upgrade).collect();
        stamps.iter().for_each(|stamp| stamp.forget());
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

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
        before.learn(std::slice::from_ref(&name), [Some(7)]);
        assert_eq!(before.remote(), None);
        let after = Seen::capture([&stamp].into_iter());
        after.learn(std::slice::from_ref(&name), [Some(8)]);
        assert_eq!(after.remote(), Some(smallvec![(9, 8)]));
        stamps.forget_all();
        assert!(after.is_current(), "what memory holds stays");
        let later = Seen::capture([&stamp].into_iter());
        assert_eq!(later.unknown(), [name], "what is in the shared tier is read anew");
    }

    /// Killed by: `remote` giving the number that stands now.
    #[test]
    fn a_load_is_published_under_the_number_from_its_beginning() {
        let (stamps, stamp, name) = stamp();
        let before = Seen::capture([&stamp].into_iter());
        before.learn(std::slice::from_ref(&name), [Some(7)]);
        stamps.void(9);
        Seen::capture([&stamp].into_iter()).learn(std::slice::from_ref(&name), [Some(8)]);
        assert_eq!(before.remote(), Some(smallvec![(9, 7)]));
    }

    /// Killed by: knowing a number for ever.
    #[tokio::test(start_paused = true)]
    async fn a_number_is_read_again_after_a_while_and_a_missed_change_voids() {
        let (_stamps, stamp, name) = stamp();
        let early = Seen::capture([&stamp].into_iter());
        early.learn(std::slice::from_ref(&name), [Some(7)]);
        assert!(Seen::capture([&stamp].into_iter()).unknown().is_empty());
        tokio::time::advance(KNOWN_FOR).await;
        let later = Seen::capture([&stamp].into_iter());
        assert_eq!(later.unknown(), std::slice::from_ref(&name));
        later.learn(std::slice::from_ref(&name), [Some(7)]);
        assert!(early.is_current());
        later.learn(&[name], [Some(8)]);
        assert!(!early.is_current());
    }

    /// Killed by: asking only about stamps that are used; forgetting that some were forgotten.
    #[test]
    fn what_was_voided_since_is_known_until_there_is_too_much_of_it() {
        let stamps = Stamps::default();
        stamps.void(1);
        let before = stamps.watermark();
        assert!(!stamps.any_voided_since(before, [1, 2].into_iter()));
        stamps.void(2);
        assert!(stamps.any_voided_since(before, [1, 2].into_iter()), "nobody carried it");
        assert!(!stamps.any_voided_since(before, [1, 3].into_iter()));
        assert!(!stamps.any_voided_since(stamps.watermark(), [2].into_iter()));
        (0..REMEMBERED as u64 - 1).for_each(|hash| stamps.void(100 + hash));
        assert!(stamps.any_voided_since(before, [2].into_iter()));
        assert!(!stamps.any_voided_since(before, [3].into_iter()));
        stamps.void(4);
        assert!(stamps.any_voided_since(before, [3].into_iter()), "nobody knows");
    }

    /// Killed by: never sweeping; a stamp that is swept while it is used.
    #[test]
    fn stamps_that_nobody_uses_are_forgotten() {
        let (stamps, used, name) = stamp();
        for hash in 100..100_000 {
            stamps.named(StampName { key: "tag".into(), hash });
        }
        assert!(stamps.known().stamps.len() < 5_000);
        assert!(Arc::ptr_eq(&used, &stamps.named(name)));
    }
}
