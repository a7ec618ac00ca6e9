//! The memory tier compared with a model of it: for each key, the first version that may be seen. `schedules/memory.rs`
//! runs it in many orders of few threads, `memory/tests.rs` for long.

#![allow(clippy::unwrap_used, reason = "a test panics to fail")]

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, Weak};
// Not shuttle's atomics: the model must know at once which calls have returned.
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use super::policy::{Keeper, Policy};
use super::{Bookkeeping, Bound, Memory, MemoryTier};
use crate::cache::state::Local;
use crate::cache::{HybridCache, Limits};
use crate::coherence::outage::Outage;
use crate::coherence::stamps::{Stamp, StampSnapshot};
use crate::entry::{Deadlines, Entry, FilledUnder, Meta, State};
use crate::function::call_key::Key;
use crate::function::{Instance, Site};
use crate::key::KeyBuf;
use crate::primitives::sync::LockExt as _;
use crate::shared::wire::packing::Packing;
use crate::shared::{Invalidation, Listener, StampName};

/// A time at which all entries are fresh.
const NOW: u64 = 0;

/// Two versions of one function: for the same arguments their entries have one id in messages.
static SITES: [Site; 2] = [Site::named("model", 0), Site::named("model", 1)];
static INSTANCES: [Instance<'static>; 2] = [of(&SITES[0]), of(&SITES[1])];

const fn of(site: &'static Site) -> Instance<'static> {
    Instance { site, receiver: None, generics: &[] }
}

/// Every policy passes the same tests.
pub(crate) const POLICIES: &[Policy] = &[
    Policy::Clock,
    #[cfg(feature = "moka")]
    Policy::Moka,
];

pub(crate) struct Modelled {
    pub(crate) local: Arc<Local>,
    cache: HybridCache,
    slots: Vec<Slot>,
    /// Whether there are messages.
    shared: bool,
    /// A stamp that all keys carry.
    stamp: Arc<Stamp>,
    /// The latest entries, as long as a reference to them exists.
    entries: Mutex<VecDeque<Weak<Entry>>>,
    memory: Memory,
    totals: Arc<Totals>,
}

/// Totals of the values, in the unit of memory's bound: their number, or their weight.
#[derive(Default)]
pub(crate) struct Totals {
    made: AtomicU64,
    alive: AtomicU64,
}

impl Totals {
    pub(crate) fn made(&self) -> u64 {
        self.made.load(SeqCst)
    }

    /// The values in memory, and on their way in and out.
    pub(crate) fn alive(&self) -> u64 {
        self.alive.load(SeqCst)
    }
}

/// How many entries are watched until no reference to them is left.
const WATCHED: usize = 1_000;

/// One key. Versions count up from 1; each is stored once.
struct Slot {
    instance: &'static Instance<'static>,
    text: KeyBuf,
    key: Arc<Key>,
    /// The newest version that was made.
    made: AtomicU64,
    /// Older versions were replaced or removed.
    visible_from: AtomicU64,
    /// The newest version found in the index. From then on no older one can be found there.
    seen: AtomicU64,
    /// Older versions have expired.
    fresh_from: AtomicU64,
}

struct Value {
    nth: usize,
    version: u64,
    weight: u64,
    totals: Arc<Totals>,
}

impl Modelled {
    /// Makes `keys` keys; each has the `hash` of its number. An even key and the next one share one id.
    pub(crate) fn new(memory: Memory, keys: usize, hash: fn(usize) -> u64, shared: bool) -> Self {
        let local = Arc::new(Local::new("model", MemoryTier::new(memory, shared), Outage::Serve));
        let limits = Limits {
            redis_budget: Default::default(),
            lease_limit: Default::default(),
            value_limit: 0,
            degraded_loads: 1,
        };
        let cache = HybridCache::assemble("model", local.clone(), None, 0, limits, Packing::default());
        let slots = (0..keys).map(|nth| Slot::new(&cache, nth, hash(nth))).collect();
        let stamp = local.stamps.named(StampName { key: "group".into(), hash: 9, version: None });
        Self { local, cache, slots, shared, stamp, entries: Mutex::default(), memory, totals: Arc::default() }
    }

    pub(crate) fn key(&self, nth: usize) -> &Arc<Key> {
        &self.slots[nth].key
    }

    pub(crate) fn load(&self, nth: usize, bytes: usize) {
        let slot = &self.slots[nth];
        let seen = StampSnapshot::capture([&self.stamp].into_iter());
        let leader = self.local.flights.supersede(&slot.key, || seen.clone());
        leader.store(|| {
            let version = slot.made.fetch_add(1, SeqCst) + 1;
            self.local.memory.insert(self.entry(nth, version, &seen, bytes));
            slot.visible_from.fetch_max(version, SeqCst);
        });
    }

    /// Removes or expires a key.
    pub(crate) fn invalidate(&self, nth: usize, mode: Invalidation) {
        self.end(nth, mode, |key| self.local.invalidate(key, mode));
    }

    /// The same by a message, if there are messages.
    pub(crate) fn message(&self, nth: usize, mode: Invalidation) {
        if self.shared {
            self.end(nth, mode, |key| self.local.invalidated(key.id(), mode, 7));
        }
    }

    fn end(&self, nth: usize, mode: Invalidation, end: impl FnOnce(&Arc<Key>)) {
        // Both keys that a message finds by its id.
        let pair = nth / 2 * 2..(nth / 2 * 2 + 2).min(self.slots.len());
        let ended = if self.shared { pair } else { nth..nth + 1 };
        ending(&self.slots[ended], mode, || end(&self.slots[nth].key));
    }

    /// Voids the group of all keys.
    pub(crate) fn clear(&self) {
        ending(&self.slots, Invalidation::Delete, || self.local.restamped(self.stamp.name.hash, 7));
    }

    /// Evicts the key, as a call that stores another key may do. That call does not hold the lock of this key's stripe.
    #[cfg(shuttle)]
    pub(crate) fn evict(&self, nth: usize) {
        self.local.memory.remove(&self.slots[nth].key);
    }

    /// The version that a call gets, fresh or stale.
    pub(crate) fn read(&self, nth: usize) -> Option<u64> {
        let slot = &self.slots[nth];
        let lookup = self.cache.lookup(slot.instance, &slot.text).with_hash(slot.key.hash());
        let bounds = slot.bounds();
        let version = self.local.memory.look(&lookup, |entry| {
            let version = self.check(nth, entry, bounds)?;
            MemoryTier::count_hit(&entry.meta);
            Some(version)
        })??;
        slot.seen.fetch_max(version, SeqCst);
        Some(version)
    }

    /// The same for a caller that keeps a reference to the entry.
    pub(crate) fn find(&self, nth: usize) -> Option<u64> {
        let slot = &self.slots[nth];
        let bounds = slot.bounds();
        let version = self.check(nth, &self.local.memory.find(&slot.key)?, bounds)?;
        slot.seen.fetch_max(version, SeqCst);
        Some(version)
    }

    /// For [`Self::read_held`].
    pub(crate) fn hold(&self, nth: usize) -> Option<Arc<Entry>> {
        self.local.memory.find(&self.slots[nth].key)
    }

    /// The version for a caller that has held the entry for a while.
    pub(crate) fn read_held(&self, nth: usize, entry: &Entry) -> Option<u64> {
        self.check(nth, entry, self.slots[nth].bounds_where_held())
    }

    fn check(&self, nth: usize, entry: &Entry, (visible_from, fresh_from): (u64, u64)) -> Option<u64> {
        let value: &Value = entry.value.downcast_ref().unwrap();
        assert_eq!(value.nth, nth, "another key's value");
        // The same check as in `call/mod.rs`.
        let is_hit = entry.meta.is_fresh(NOW, self.local.trust.now());
        let state = if is_hit { State::Fresh } else { entry.meta.state(NOW, self.local.trust.now()) };
        match state {
            State::Gone | State::Unverified => return None,
            State::Fresh => assert!(value.version >= fresh_from, "{} has expired before {fresh_from}", value.version),
            State::Stale => {}
        }
        assert!(value.version >= visible_from, "{} was removed or replaced before {visible_from}", value.version);
        Some(value.version)
    }

    /// At any time, under memory's lock: index, policy and ids agree exactly, and there is no more in memory than the
    /// bound allows. Returns the weight of all entries.
    pub(crate) fn assert_agreement(&self) -> u64 {
        let MemoryTier { index, bookkeeping } = &self.local.memory;
        let Bookkeeping { scale, policy, by_id } = &*bookkeeping.lock_unpoisoned();
        let entries = index.all();
        assert_eq!(index.len(), entries.len(), "the index counts its entries");
        let weight = entries.iter().map(|entry| scale.weight_of(entry)).sum();
        assert_policy(policy, &entries, weight);
        assert!(weight <= scale.room(), "{weight} in {scale:?}");
        assert_eq!(by_id.is_some(), self.shared);
        if let Some(by_id) = by_id {
            let ids: BTreeSet<_> = entries.iter().map(|entry| (entry.meta.key.id(), entry.meta.key.hash())).collect();
            let found: Vec<_> = by_id.all().collect();
            assert_eq!(found.len(), entries.len(), "messages find each entry once");
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), ids, "messages find what is in the index");
        }
        weight
    }

    /// No call is under way: what is in the index lives, and what is not is dead. Returns the weight of all entries.
    pub(crate) fn assert_settled(&self) -> u64 {
        let entries = self.local.memory.index.all();
        assert!(entries.iter().all(|entry| !entry.meta.is_dead()), "what is in the index lives");
        for entry in self.entries.lock().unwrap().iter().filter_map(Weak::upgrade) {
            let is_in_index = entries.iter().any(|other| Arc::ptr_eq(other, &entry));
            assert!(is_in_index || entry.meta.is_dead(), "what is not in the index is dead");
        }
        self.assert_agreement()
    }

    /// The values that messages have removed and the disposal thread has not dropped yet.
    #[cfg(not(shuttle))]
    pub(crate) fn to_be_dropped(&self) -> u64 {
        self.local.disposal.waiting() as u64
    }

    pub(crate) fn totals(&self) -> &Arc<Totals> {
        &self.totals
    }

    fn entry(&self, nth: usize, version: u64, seen: &StampSnapshot, bytes: usize) -> Arc<Entry> {
        let times = Deadlines { fresh_until: u64::MAX, expires_at: u64::MAX };
        let mut meta = Meta::new(&self.slots[nth].key, times, FilledUnder { seen, epoch: 0, began: NOW }, None);
        meta.weigh(bytes);
        let weight = match self.memory.bound {
            Bound::Entries(_) => 1,
            Bound::Bytes(_) => meta.weight.into(),
        };
        self.totals.made.fetch_add(weight, SeqCst);
        self.totals.alive.fetch_add(weight, SeqCst);
        let value = Value { nth, version, weight, totals: self.totals.clone() };
        let entry = Arc::new(Entry { meta, value });
        let mut entries = self.entries.lock().unwrap();
        let erased: Arc<Entry> = entry.clone();
        entries.push_back(Arc::downgrade(&erased));
        if entries.len() > WATCHED {
            entries.pop_front();
        }
        entry
    }
}

/// The policy has these entries, no others, and knows what they weigh together.
fn assert_policy(policy: &Keeper, entries: &[Arc<Entry>], weight: u64) {
    match policy {
        Keeper::Clock(clock) => {
            let places = entries.iter().map(|entry| (entry.meta.place(), entry.meta.key.hash()));
            assert_eq!(clock.all().collect::<BTreeSet<_>>(), places.collect(), "each entry knows its place");
            assert_eq!((clock.all().count(), clock.weight()), (entries.len(), weight));
        }
        #[cfg(feature = "moka")]
        Keeper::Moka(moka) => {
            let hashes = entries.iter().map(|entry| entry.meta.key.hash());
            assert_eq!(moka.all().collect::<BTreeSet<_>>(), hashes.collect());
            assert_eq!((moka.all().count(), moka.weight()), (entries.len(), weight));
        }
    }
}

impl Slot {
    fn new(cache: &HybridCache, nth: usize, hash: u64) -> Self {
        let mut text = KeyBuf::new();
        text.display(&(nth / 2));
        let instance = &INSTANCES[nth % 2];
        let key = cache.key(&cache.lookup(instance, &text).with_hash(hash));
        let [made, visible_from, seen, fresh_from] = Default::default();
        Self { instance, text, key, made, visible_from, seen, fresh_from }
    }

    /// The first version that may be found in the index, and the first that may be fresh.
    fn bounds(&self) -> (u64, u64) {
        let (visible_from, fresh_from) = self.bounds_where_held();
        (visible_from.max(self.seen.load(SeqCst)), fresh_from)
    }

    /// An entry is killed a moment after the next one can be found, but before the call that stores the next one
    /// returns.
    fn bounds_where_held(&self) -> (u64, u64) {
        (self.visible_from.load(SeqCst), self.fresh_from.load(SeqCst))
    }
}

/// Versions that were made before `end` begins have ended when it returns.
fn ending(slots: &[Slot], mode: Invalidation, end: impl FnOnce()) {
    let made: Vec<_> = slots.iter().map(|slot| slot.made.load(SeqCst)).collect();
    end();
    for (slot, made) in slots.iter().zip(made) {
        match mode {
            Invalidation::Delete => slot.visible_from.fetch_max(made + 1, SeqCst),
            Invalidation::Expire => slot.fresh_from.fetch_max(made + 1, SeqCst),
        };
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.totals.alive.fetch_sub(self.weight, SeqCst);
    }
}
