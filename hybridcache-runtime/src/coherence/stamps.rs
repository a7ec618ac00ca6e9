//! Stamps: version numbers of groups of entries. Changing a stamp voids the whole group at once. The namespace, each
//! function and each tag has a stamp.
//!
//! An entry remembers the stamps at the time when its load, or its reading from the shared tier, *began*. It is valid
//! while these stamps are unchanged. So voiding a group costs one change, whatever its size, and also voids the result
//! of a load that is still running. In the shared tier a stamp is a random number (losing it can only cause misses). In
//! this process it is a counter of the changes that this process has noticed, stored beside the shared tier's number if
//! that is known.
//!
//! A function's stamp also names the versions of the function that use it. A version uses a number only while the stamp
//! names the version, so an invalidation that reads the stamp finds all versions in which there can be a valid entry.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::primitives::sync::atomic::{AtomicU64, Ordering};
use crate::primitives::sync::{LockExt as _, Mutex, MutexGuard};
use crate::shared::wire::envelope::StampValues;
use crate::shared::{Lifespan, Remote, StampName, StampValue, Versions};

/// One group's stamp as this process knows it.
#[derive(Debug)]
pub(crate) struct Stamp {
    pub(crate) name: StampName,
    /// The number of changes that this process has noticed. Entries in memory compare it on each hit.
    generation: AtomicU64,
    number: Mutex<Number>,
}

/// How often any stamp of this process has changed, counted after each change. While it is the same, what was found
/// current still is: a hit compares this one number. (Not shuttle's: it belongs to no test alone, and a stamp's
/// generation changes just before, where shuttle may switch threads.)
static CHANGES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);

/// The shared tier's number. A reading is accepted only if the stamp was not voided or forgotten after the reading
/// began.
#[derive(Debug, Default)]
struct Number {
    readings_void_before: u64,
    value: Option<u64>,
    /// The versions that the stamp names under this number.
    named: Versions,
    /// The versions that the stamp named when it was last read, under whatever number: an invalidation reaches them
    /// first.
    known: Versions,
    read_at: Option<Instant>,
    /// Until when the shared tier keeps the stamp, as far as this process knows.
    lives_until: Option<Instant>,
}

/// How long a number is used without reading it again. The shared tier may lose a stamp, and another process may create
/// it with a new number. Without reading it again, the two processes would never find each other's entries.
const KNOWN_FOR: Duration = Duration::from_secs(10);

impl Stamp {
    fn new(name: StampName) -> Self {
        Self { name, generation: AtomicU64::new(0), number: Mutex::default() }
    }

    /// Voids everything that was captured before.
    pub(crate) fn void(&self) {
        let mut number = self.number();
        // Both changes happen under the lock. A capture between them would have the new generation and the old number,
        // and an entry that carries the old number would be valid under it.
        self.change();
        number.forget();
    }

    /// Begins a new generation. Returns the one before.
    fn change(&self) -> u64 {
        let before = self.generation.fetch_add(1, Ordering::SeqCst);
        CHANGES.fetch_add(1, Ordering::SeqCst);
        before
    }

    /// The shared tier has this number, or none. Everything that was read under another number is void, because its
    /// versions are no longer named.
    fn renumber(&self, number: Option<u64>) {
        if self.number().value.is_some_and(|known| Some(known) != number) {
            self.void();
        }
    }

    /// Forgets the shared tier's number: a message about it may have been lost.
    pub(crate) fn forget(&self) {
        self.number().forget();
    }

    fn number(&self) -> MutexGuard<'_, Number> {
        self.number.lock_unpoisoned()
    }
}

impl Number {
    fn forget(&mut self) {
        self.readings_void_before += 1;
        (self.value, self.lives_until) = (None, None);
    }

    fn names(&self, version: Option<u32>) -> bool {
        version.is_none_or(|version| self.named.contains(&version))
    }
}

/// The stamps at the time when an operation began. Clones share their state. (One pointer wide, because each entry has
/// one.)
#[derive(Clone, Debug, Default)]
pub(crate) struct StampSnapshot(Arc<AllSeen>);

#[derive(Debug, Default)]
struct AllSeen {
    /// The version that uses the function's stamp.
    version: Option<u32>,
    stamps: Box<[CapturedStamp]>,
    /// The value of [`CHANGES`] at which the stamps were last found unchanged; zero at first.
    current_at: std::sync::atomic::AtomicU64,
}

impl AllSeen {
    fn new(version: Option<u32>, stamps: Box<[CapturedStamp]>) -> Arc<Self> {
        Arc::new(Self { version, stamps, current_at: Default::default() })
    }
}

/// The place of the function's stamp.
const FUNCTION: usize = 1;

#[derive(Debug)]
struct CapturedStamp {
    stamp: Arc<Stamp>,
    generation: AtomicU64,
    reading: u64,
    /// The shared tier's number; zero while it is not known. A published entry carries *this* number: the present one
    /// may be newer than the load.
    value: AtomicU64,
}

impl StampSnapshot {
    /// The stamps of an entry of this version of a function: the namespace's, the function's, its tags'.
    pub(crate) fn capture_in<'a>(version: u32, stamps: impl Iterator<Item = &'a Arc<Stamp>>) -> Self {
        Self::of(Some(version), stamps)
    }

    #[cfg(test)]
    pub(crate) fn capture<'a>(stamps: impl Iterator<Item = &'a Arc<Stamp>>) -> Self {
        Self::of(None, stamps)
    }

    fn of<'a>(version: Option<u32>, stamps: impl Iterator<Item = &'a Arc<Stamp>>) -> Self {
        let capture = |(place, stamp)| CapturedStamp::capture(stamp, version.filter(|_| place == FUNCTION));
        Self(AllSeen::new(version, stamps.enumerate().map(capture).collect()))
    }

    /// The same stamps, and tags that are captured now.
    #[cfg(feature = "http")]
    pub(crate) fn and<'a>(&self, tags: impl Iterator<Item = &'a Arc<Stamp>>) -> Self {
        let tags = tags.map(|tag| CapturedStamp::capture(tag, None));
        let stamps = self.all().iter().map(CapturedStamp::settled).chain(tags).collect();
        Self(AllSeen::new(self.0.version, stamps))
    }

    /// A copy with the present values: later readings do not change it.
    fn settled(&self) -> Self {
        let stamps = self.all().iter().map(CapturedStamp::settled).collect();
        Self(AllSeen::new(self.0.version, stamps))
    }

    #[inline]
    fn all(&self) -> &[CapturedStamp] {
        &self.0.stamps
    }

    /// Whether both have the same stamps with the same numbers.
    fn is_like(&self, other: &Self) -> bool {
        self.len() == other.len() && self.all().iter().zip(other.all()).all(|(one, other)| one.is_like(other))
    }

    pub(crate) fn len(&self) -> usize {
        self.all().len()
    }

    /// Whether none of the stamps has changed.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        let changes = CHANGES.load(Ordering::Acquire);
        self.0.current_at.load(Ordering::Relaxed) == changes || self.compare(changes)
    }

    /// `changes`: read before the stamps, so that a stamp which changes meanwhile is compared again.
    #[cold]
    #[inline(never)]
    fn compare(&self, changes: u64) -> bool {
        let is_current = |seen: &CapturedStamp| {
            seen.stamp.generation.load(Ordering::Acquire) == seen.generation.load(Ordering::Relaxed)
        };
        let is_current = self.all().iter().all(is_current);
        if is_current {
            self.0.current_at.store(changes, Ordering::Relaxed);
        }
        is_current
    }

    /// The stamps whose number in the shared tier is not known.
    pub(crate) fn unknown(&self) -> Vec<StampName> {
        self.names_where(|seen| seen.value.load(Ordering::Acquire) == 0)
    }

    /// Prolongs the stamps that may end too soon for an entry that is loaded, or published, from now on.
    pub(crate) fn prolong(&self, lifespan: Lifespan, remote: &dyn Remote) {
        let now = Instant::now();
        let (needed, given) = (now + lifespan.needed, now + lifespan.given);
        let short = self.names_where(|seen| seen.value.load(Ordering::Acquire) != 0 && !seen.lives_until(needed));
        if !short.is_empty() {
            remote.prolong_stamps(&short, lifespan.given);
            self.note_life(&short, given);
        }
    }

    /// The stamps whose number is not the one that the entry carries.
    pub(crate) fn mismatched(&self, carried: &[(u64, u64)]) -> Vec<StampName> {
        self.names_where(|seen| !carried.contains(&(seen.stamp.name.hash, seen.value.load(Ordering::Acquire))))
    }

    fn names_where(&self, predicate: impl Fn(&CapturedStamp) -> bool) -> Vec<StampName> {
        let places = self.all().iter().enumerate().filter(|(_, seen)| predicate(seen));
        places.map(|(place, seen)| StampName { version: self.version_at(place), ..seen.stamp.name.clone() }).collect()
    }

    fn version_at(&self, place: usize) -> Option<u32> {
        self.0.version.filter(|_| place == FUNCTION)
    }

    /// Makes the next read request all stamps again, even known ones: a message about one of them may have been lost
    /// unnoticed.
    pub(crate) fn forget_values(&self) {
        self.all().iter().for_each(|seen| seen.value.store(0, Ordering::Release));
    }

    /// Stores the values that were read for `names`. Skips a stamp that was voided or forgotten since the capture.
    pub(crate) fn learn<V: Into<StampValue>>(&self, names: &[StampName], values: impl IntoIterator<Item = Option<V>>) {
        for (name, value) in names.iter().zip(values) {
            let value = value.map(V::into);
            for (place, seen) in self.all().iter().enumerate().filter(|(_, seen)| seen.stamp.name.hash == name.hash) {
                seen.learn(value.as_ref(), self.version_at(place));
            }
        }
    }

    /// Like [`Self::learn`], for stamps that were created or prolonged and live until `until`.
    pub(crate) fn learn_created(&self, names: &[StampName], values: Vec<StampValue>, until: Instant) {
        self.learn(names, values.into_iter().map(Some));
        self.note_life(names, until);
    }

    fn note_life(&self, names: &[StampName], until: Instant) {
        let is_named = |seen: &&CapturedStamp| names.iter().any(|name| name.hash == seen.stamp.name.hash);
        self.all().iter().filter(is_named).for_each(|seen| seen.note_life(until));
    }

    /// The hash and the shared tier's number of each stamp, in order. `None` if one number is not known.
    pub(crate) fn remote(&self) -> Option<StampValues> {
        let number = |seen: &CapturedStamp| match seen.value.load(Ordering::Acquire) {
            0 => None,
            value => Some((seen.stamp.name.hash, value)),
        };
        self.all().iter().map(number).collect()
    }
}

impl CapturedStamp {
    fn capture(stamp: &Arc<Stamp>, version: Option<u32>) -> Self {
        let number = stamp.number();
        let generation = AtomicU64::new(stamp.generation.load(Ordering::SeqCst));
        let is_recent = number.read_at.is_some_and(|read_at| read_at.elapsed() < KNOWN_FOR);
        let known = number.value.filter(|_| is_recent && number.names(version));
        let (reading, value) = (number.readings_void_before, AtomicU64::new(known.unwrap_or(0)));
        Self { stamp: stamp.clone(), generation, reading, value }
    }

    fn settled(&self) -> Self {
        Self {
            stamp: self.stamp.clone(),
            generation: self.generation.load(Ordering::Relaxed).into(),
            reading: self.reading,
            value: self.value.load(Ordering::Acquire).into(),
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        let numbers = (self.value.load(Ordering::Acquire), other.value.load(Ordering::Acquire));
        let generations = (self.generation.load(Ordering::Relaxed), other.generation.load(Ordering::Relaxed));
        Arc::ptr_eq(&self.stamp, &other.stamp) && generations.0 == generations.1 && numbers.0 == numbers.1
    }

    /// `version`: the version that the stamp must name.
    fn learn(&self, value: Option<&StampValue>, version: Option<u32>) {
        let mut number = self.stamp.number();
        if number.readings_void_before != self.reading {
            return;
        }
        let read = value.map(|value| value.number);
        if number.value != read {
            if number.value.is_some() {
                // The stamp changed or ended, and no message arrived. Snapshots under the old generation are void. This
                // snapshot continues under the new generation: nothing was read or loaded under this snapshot yet.
                let before = self.stamp.change();
                let _ = self.generation.compare_exchange(before, before + 1, Ordering::SeqCst, Ordering::Relaxed);
            }
            number.lives_until = None;
        }
        (number.value, number.read_at) = (read, Some(Instant::now()));
        if let Some(value) = value {
            number.named.clone_from(&value.versions);
            number.known.clone_from(&value.versions);
        }
        let trusted = read.filter(|_| number.names(version));
        self.value.store(trusted.unwrap_or(0), Ordering::Release);
    }

    /// Whether the shared tier is known to keep the stamp until `until`.
    fn lives_until(&self, until: Instant) -> bool {
        self.stamp.number().lives_until.is_some_and(|end| end >= until)
    }

    /// The shared tier keeps the stamp until `until`, if it still has this number.
    fn note_life(&self, until: Instant) {
        let mut number = self.stamp.number();
        if number.value.is_some_and(|value| value == self.value.load(Ordering::Acquire)) {
            number.lives_until = number.lives_until.max(Some(until));
        }
    }
}

/// A snapshot that the entries of one function share while no stamp changes: all entries without tags are loaded under
/// the same stamps.
#[derive(Debug, Default)]
pub(crate) struct SnapshotInterner(Mutex<StampSnapshot>);

/// The namespace's stamp and the function's.
const WITHOUT_TAGS: usize = 2;

impl SnapshotInterner {
    /// The shared snapshot with the same stamps, for an entry to keep.
    pub(crate) fn share(&self, seen: &StampSnapshot) -> StampSnapshot {
        if seen.len() != WITHOUT_TAGS {
            return seen.clone();
        }
        let mut last = self.0.lock_unpoisoned();
        if !last.is_like(seen) {
            *last = seen.settled();
        }
        last.clone()
    }
}

/// The stamps that this cache object uses, by the hash of their name. Tags come from data: a tag that no entry carries
/// any more is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    stamps: HashMap<u64, Weak<Stamp>>,
    /// How many stamps there may be before the unused ones are removed.
    sweep_at: usize,
    /// The stamps that were voided last, whether or not an entry here carried them. `voids` counts all of them.
    voided: VecDeque<u64>,
    voids: u64,
}

/// How many voided stamps are remembered: enough for those that are voided while one value is loaded.
const REMEMBERED: usize = 1024;

/// A moment: only stamps that are voided after it are looked for.
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

    /// Voids a stamp that another process changed. A stamp that is not in use here needs no voiding.
    pub(crate) fn void(&self, hash: u64) {
        let stamp = self.note(hash);
        if let Some(stamp) = stamp {
            stamp.void();
        }
    }

    /// Records a stamp that is about to be voided, for loads that learn only later which tags their entry has. Returns
    /// the stamp if it is in use.
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

    /// Whether one of these stamps may have been voided since. The caller asks after it has captured them: a later
    /// change then changes their generation.
    #[cfg(any(test, feature = "http"))]
    pub(crate) fn any_voided_since(&self, Watermark(before): Watermark, mut hashes: impl Iterator<Item = u64>) -> bool {
        let known = self.known();
        let since = usize::try_from(known.voids - before).unwrap_or(usize::MAX);
        let recent = known.voided.len().checked_sub(since);
        recent.is_none_or(|first| hashes.any(|hash| known.voided.range(first..).any(|voided| *voided == hash)))
    }

    /// The shared tier's number was changed, but no entry here is void because of that.
    pub(crate) fn forget(&self, hash: u64) {
        self.used(hash).iter().for_each(|stamp| stamp.forget());
    }

    /// A stamp that was absent was created.
    pub(crate) fn renumber(&self, hash: u64, number: u64) {
        self.used(hash).iter().for_each(|stamp| stamp.renumber(Some(number)));
    }

    /// The versions that a function's stamp named when it was last read.
    pub(crate) fn versions(&self, hash: u64) -> Versions {
        self.used(hash).map(|stamp| stamp.number().known.clone()).unwrap_or_default()
    }

    /// The function's stamp as an invalidation has read or created it. Its number is not stored here, but nothing is
    /// read or stored any more under another number: the stamp may not name the versions that use another number, so
    /// invalidations by other processes would not reach them. If the invalidation failed, the number is read again.
    pub(crate) fn found<E>(&self, hash: u64, answer: Result<Option<StampValue>, E>) -> Result<(), E> {
        let Some(used) = self.used(hash) else { return answer.map(drop) };
        let stamp = answer.inspect_err(|_| used.forget())?;
        used.renumber(stamp.as_ref().map(|stamp| stamp.number));
        used.number().known = stamp.map(|stamp| stamp.versions).unwrap_or_default();
        Ok(())
    }

    fn used(&self, hash: u64) -> Option<Arc<Stamp>> {
        self.known().stamps.get(&hash).and_then(Weak::upgrade)
    }

    /// Messages may have been lost: all numbers are read again from the shared tier.
    pub(crate) fn forget_all(&self) {
        let stamps: Vec<_> = self.known().stamps.values().filter_map(Weak::upgrade).collect();
        stamps.iter().for_each(|stamp| stamp.forget());
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock_unpoisoned()
    }
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;

    fn stamp() -> (Stamps, Arc<Stamp>, StampName) {
        let name = StampName { key: "tag".into(), hash: 9, version: None };
        let stamps = Stamps::default();
        let stamp = stamps.named(name.clone());
        (stamps, stamp, name)
    }

    #[test]
    fn voiding_hides_what_began_before() {
        let (stamps, stamp, _) = stamp();
        let before = StampSnapshot::capture([&stamp].into_iter());
        assert!(before.is_current());
        stamps.void(9);
        assert!(!before.is_current());
        assert!(StampSnapshot::capture([&stamp].into_iter()).is_current());
    }

    /// Killed by: accepting every reading in `learn`.
    #[test]
    fn a_reading_begun_before_a_change_is_not_learnt() {
        let (stamps, stamp, name) = stamp();
        let before = StampSnapshot::capture([&stamp].into_iter());
        stamps.void(9);
        before.learn(std::slice::from_ref(&name), [Some(7)]);
        assert_eq!(before.remote(), None);
        let after = StampSnapshot::capture([&stamp].into_iter());
        after.learn(std::slice::from_ref(&name), [Some(8)]);
        assert_eq!(after.remote(), Some(smallvec![(9, 8)]));
        stamps.forget_all();
        assert!(after.is_current(), "what memory holds stays");
        let later = StampSnapshot::capture([&stamp].into_iter());
        assert_eq!(later.unknown(), [name], "what is in the shared tier is read anew");
    }

    /// Killed by: `remote` giving the number that stands now.
    #[test]
    fn a_load_is_published_under_the_number_from_its_beginning() {
        let (stamps, stamp, name) = stamp();
        let before = StampSnapshot::capture([&stamp].into_iter());
        before.learn(std::slice::from_ref(&name), [Some(7)]);
        stamps.void(9);
        StampSnapshot::capture([&stamp].into_iter()).learn(std::slice::from_ref(&name), [Some(8)]);
        assert_eq!(before.remote(), Some(smallvec![(9, 7)]));
    }

    /// Killed by: knowing a number for ever.
    #[tokio::test(start_paused = true)]
    async fn a_number_is_read_again_after_a_while_and_a_missed_change_voids() {
        let (_stamps, stamp, name) = stamp();
        let early = StampSnapshot::capture([&stamp].into_iter());
        early.learn(std::slice::from_ref(&name), [Some(7)]);
        assert!(StampSnapshot::capture([&stamp].into_iter()).unknown().is_empty());
        tokio::time::advance(KNOWN_FOR).await;
        let later = StampSnapshot::capture([&stamp].into_iter());
        assert_eq!(later.unknown(), std::slice::from_ref(&name));
        later.learn(std::slice::from_ref(&name), [Some(7)]);
        assert!(early.is_current());
        later.learn(&[name], [Some(8)]);
        assert!(!early.is_current());
    }

    fn named(number: u64, versions: &[u32]) -> StampValue {
        StampValue { number, versions: versions.into() }
    }

    /// Three stamps of an entry of this version, and the name of the function's stamp.
    fn in_version(stamps: &Stamps, version: u32) -> (StampSnapshot, StampName) {
        let name = |hash: u64| StampName { key: hash.to_string().into(), hash, version: None };
        let all: Vec<_> = (1..=3).map(|hash| stamps.named(name(hash))).collect();
        (StampSnapshot::capture_in(version, all.iter()), name(2))
    }

    /// An invalidation reaches the versions that the stamp names, and no others. Killed by: trusting a number whatever
    /// it names; taking each stamp for a function's.
    #[test]
    fn a_number_is_trusted_by_the_versions_that_it_names() {
        let stamps = Stamps::default();
        let (seen, function) = in_version(&stamps, 1);
        let asked: Vec<_> = seen.unknown();
        assert_eq!(asked.iter().map(|name| name.version).collect::<Vec<_>>(), [None, Some(1), None]);
        let all = [named(7, &[]), named(8, &[9, 1]), named(9, &[])];
        seen.learn(&asked, all.map(Some));
        assert_eq!(seen.remote(), Some(smallvec![(1, 7), (2, 8), (3, 9)]));
        assert_eq!(in_version(&stamps, 9).0.remote(), seen.remote(), "another version in this process");
        let (other, _) = in_version(&stamps, 10);
        assert_eq!(other.unknown(), [function.used_by(10)]);
        other.learn(std::slice::from_ref(&function), [Some(named(8, &[9, 1]))]);
        assert_eq!(other.remote(), None);
        assert!(seen.is_current());
        other.learn(&[function], [Some(named(8, &[9, 1, 10]))]);
        assert_eq!(other.remote(), seen.remote());
        assert_eq!(stamps.versions(2).as_slice(), [9, 1, 10]);
        stamps.found::<()>(2, Ok(Some(named(8, &[9, 1, 10, 11])))).expect("it was found");
        assert_eq!(in_version(&stamps, 11).0.remote(), None, "that it is to be touched makes no number known");
    }

    /// Killed by: keeping the number; voiding what has this very number.
    #[test]
    fn another_number_voids_what_was_read_under_the_one_that_is_known() {
        let (stamps, stamp, name) = stamp();
        let capture = || StampSnapshot::capture([&stamp].into_iter());
        let before = capture();
        stamps.renumber(9, 6);
        assert!(before.is_current(), "nothing was read under any");
        before.learn(std::slice::from_ref(&name), [Some(7)]);
        stamps.renumber(9, 7);
        assert!(before.is_current() && capture().unknown().is_empty());
        stamps.renumber(9, 8);
        assert!(!before.is_current());
        assert_eq!(capture().unknown(), [name]);
    }

    /// An invalidation's answer has the same effect as a message. Killed by: taking in the versions alone; keeping the
    /// number where the invalidation failed, or where there is no stamp.
    #[test]
    fn a_number_that_an_invalidation_does_not_find_is_not_used_any_more() {
        let (stamps, stamp, name) = stamp();
        let capture = || StampSnapshot::capture([&stamp].into_iter());
        let learnt = |number: u64| {
            let seen = capture();
            seen.learn(std::slice::from_ref(&name), [Some(number)]);
            seen
        };
        let before = learnt(7);
        assert_eq!(stamps.found::<()>(9, Ok(Some(named(7, &[1])))), Ok(()));
        assert!(before.is_current() && capture().unknown().is_empty());
        assert_eq!(stamps.versions(9).as_slice(), [1]);
        assert_eq!(stamps.found::<()>(9, Ok(Some(named(8, &[2])))), Ok(()));
        assert!(!before.is_current() && capture().remote().is_none(), "what was found is not a number to read under");
        assert_eq!(stamps.versions(9).as_slice(), [2]);
        let before = learnt(8);
        assert_eq!(stamps.found::<()>(9, Ok(None)), Ok(()));
        assert!(!before.is_current() && stamps.versions(9).is_empty());
        let before = learnt(9);
        assert_eq!(stamps.found(9, Err("no answer")), Err("no answer"));
        assert!(before.is_current() && capture().unknown() == [name]);
        assert_eq!(stamps.found(10, Err("no answer")), Err("no answer"), "nobody here uses that one");
    }

    /// The end of a stamp's lifetime does not discard the value that is loaded next. Killed by: leaving the reader with
    /// the generation from before.
    #[tokio::test(start_paused = true)]
    async fn what_is_loaded_after_a_stamp_has_ended_is_stored() {
        let (_stamps, stamp, name) = stamp();
        let early = StampSnapshot::capture([&stamp].into_iter());
        early.learn(std::slice::from_ref(&name), [Some(7)]);
        tokio::time::advance(KNOWN_FOR).await;
        let (next, beside) =
            (StampSnapshot::capture([&stamp].into_iter()), StampSnapshot::capture([&stamp].into_iter()));
        next.learn(std::slice::from_ref(&name), [None::<u64>]);
        next.learn(&[name], [Some(8)]);
        assert!(!early.is_current() && next.is_current());
        assert_eq!(next.remote(), Some(smallvec![(9, 8)]));
        assert!(!beside.is_current(), "it may have read under the older one");
    }

    /// Killed by: a life that outlasts its number.
    #[tokio::test(start_paused = true)]
    async fn how_long_a_stamp_lives_is_known_with_its_number() {
        let (stamps, stamp, name) = stamp();
        let short = |seconds| {
            let seen = StampSnapshot::capture([&stamp].into_iter());
            let until = Instant::now() + Duration::from_secs(seconds);
            seen.all().iter().any(|seen| !seen.lives_until(until))
        };
        let create = |number| {
            let until = Instant::now() + Duration::from_secs(100);
            let seen = StampSnapshot::capture([&stamp].into_iter());
            seen.learn_created(std::slice::from_ref(&name), vec![StampValue::from(number)], until);
        };
        assert!(short(1));
        create(7);
        assert!(!short(100) && short(101));
        tokio::time::advance(Duration::from_secs(50)).await;
        assert!(!short(50) && short(51));
        let seen = StampSnapshot::capture([&stamp].into_iter());
        seen.learn(std::slice::from_ref(&name), [Some(7)]);
        assert!(!short(50), "it was read again");
        seen.learn(std::slice::from_ref(&name), [Some(8)]);
        assert!(short(1), "this is another one");
        create(8);
        stamps.forget_all();
        assert!(short(1), "messages may have been lost");
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
            stamps.named(StampName { key: "tag".into(), hash, version: None });
        }
        assert!(stamps.known().stamps.len() < 5_000);
        assert!(Arc::ptr_eq(&used, &stamps.named(name)));
    }
}
