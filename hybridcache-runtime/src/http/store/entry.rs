//! One key of the layer, as the engine sees it: lookup, load, store.

use std::any::TypeId;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::Span;

use super::record::{Record, Trial, Variants};
use crate::cache::fill::Fill;
use crate::cache::{HybridCache, InMemory};
use crate::coherence::stamps::{StampSnapshot, Watermark};
use crate::engine::job::{Lead, LoadJob, Reason};
use crate::engine::join::Decision;
use crate::engine::run::run;
use crate::engine::task::{Loaded, Work};
use crate::entry::lifetimes::Lifetimes;
use crate::entry::plan::{Judge, Plan};
use crate::entry::value_type::{Typed, ValueType};
use crate::entry::{Entry, FilledUnder, RefreshClaim, State};
use crate::flight::{Claim, Leader};
use crate::function::call_key::Key;
use crate::function::{Instance, Site};
use crate::key::KeyBuf;
use crate::observe::EventKind;
use crate::primitives::clock::Millis;
use crate::primitives::sync::LockExt as _;

/// A key, and how the engine handles its entries.
#[derive(Clone, Debug)]
pub(crate) struct HttpEntry {
    pub(crate) cache: HybridCache,
    pub(crate) key: Arc<Key>,
    pub(crate) plan: Plan,
}

/// The stamps, epoch and time at which a load began. Its result is void if stamps or epoch have changed.
#[derive(Debug)]
pub(crate) struct LoadStart {
    pub(crate) seen: StampSnapshot,
    epoch: u64,
    at: Millis,
    watermark: Watermark,
}

/// The latest entry that a request rejected: it may still be revalidated, or served if the handler fails.
pub(crate) type RejectedEntry = Arc<Mutex<Option<Arc<Entry>>>>;

pub(crate) fn instance(site: &'static Site) -> Instance<'static> {
    Instance { site, receiver: None, generics: &[] }
}

/// The entry in memory, if it may be used.
pub(crate) fn look(cache: &HybridCache, site: &'static Site, key: &KeyBuf) -> Option<Arc<Entry>> {
    let (instance, local) = (instance(site), cache.local());
    let entry = local.memory.look(&cache.lookup(&instance, key), Arc::clone)?;
    matches!(cache.state(&entry, local.clock.now()), State::Fresh | State::Stale).then_some(entry)
}

/// The type of the values of pages.
const RECORD: &ValueType = &Typed::<Record>::SHARED.knowing(Record::least);

impl HttpEntry {
    pub(crate) fn new(
        cache: &HybridCache,
        site: &'static Site,
        key: &KeyBuf,
        tags: Vec<KeyBuf>,
        timeout: Option<Duration>,
    ) -> Self {
        let instance = instance(site);
        let key = cache.key(&cache.lookup(&instance, key));
        let plan = Plan {
            timeout,
            tags,
            times: Some(Record::lifetimes),
            weigh: Some(Arc::new(|value| value.downcast_ref().map_or(0, Record::weight))),
            trial: Some(Record::shared_for),
            ..Plan::new(RECORD, Lifetimes::from_millis(1, 1), TypeId::of::<()>())
        };
        Self { cache: cache.clone(), key, plan }
    }

    /// A second request found the entry. If the entry was on trial, the shared tier now keeps it for its whole
    /// lifetime.
    pub(crate) fn count_demand(cache: &HybridCache, entry: &Entry) {
        let is_on_trial = Record::of(entry).and_then(Record::trial).is_some_and(Trial::end);
        let (Some(remote), true) = (cache.remote(), is_on_trial && entry.meta.fence().is_some()) else { return };
        let left = Duration::from_millis(entry.meta.expires_at.saturating_sub(cache.clock().now()));
        remote.keep(Key::new(entry.meta.key.clone()).address(), left);
    }

    /// Counts a response from memory.
    pub(crate) fn count_hit(cache: &HybridCache, entry: &Entry, stale: bool) {
        cache.hit_in_memory(entry, stale);
    }

    /// Waits for another request's load of this key, or leads one. `accepts` decides which entries are usable. The
    /// latest entry that is not accepted is left in `refused`.
    pub(crate) async fn join(
        &self,
        accepts: impl Fn(&Arc<Entry>) -> bool + Send + Sync + 'static,
        refused: &RejectedEntry,
    ) -> Decision {
        let refused = refused.clone();
        let judge: Judge = Arc::new(move |entry| {
            let is_accepted = accepts(entry);
            if !is_accepted {
                *refused.lock_unpoisoned() = Some(entry.clone());
            }
            is_accepted
        });
        self.job(Some(judge)).join_or_lead().decided().await
    }

    fn job(&self, judge: Option<Judge>) -> LoadJob {
        let Self { cache, key, plan } = self.clone();
        LoadJob::new(cache, key, Plan { judge, ..plan })
    }

    /// The right to refresh a stale entry, if no other flight has it and no refresh failed a short while ago.
    pub(crate) fn refresh(&self, entry: &Arc<Entry>) -> Option<Box<Lead>> {
        let clock = self.cache.clock();
        let claim = RefreshClaim::take(entry, clock, clock.now())?;
        let Some(leader) = self.cache.local().flights.lead(&self.key, || self.capture_stamps()) else {
            claim.done();
            return None;
        };
        let (reason, in_memory) = (Reason::Refresh(claim), InMemory::Usable(entry.clone()));
        Some(LoadJob { reason, in_memory, ..self.job(None) }.lead(leader))
    }

    fn capture_stamps(&self) -> StampSnapshot {
        self.cache.capture_stamps(&self.key, &self.plan)
    }

    /// Captures the state before the handler is called.
    pub(crate) fn begin(&self) -> LoadStart {
        let local = self.cache.local();
        let watermark = local.stamps.watermark();
        LoadStart { seen: self.capture_stamps(), epoch: local.trust.epoch(), at: local.clock.now(), watermark }
    }

    /// Reserves this key in memory for a value that is loaded beside a running flight.
    pub(crate) fn reserve(&self, begun: &LoadStart) -> Leader {
        self.key.happened(EventKind::Loading);
        self.cache.local().flights.reserve(&self.key, begun.seen.clone())
    }

    /// Stores in memory a record that was loaded since `begun`. It replaces the result of a running flight, which is
    /// older.
    pub(crate) fn keep(&self, place: Leader, begun: &LoadStart, record: Record) -> bool {
        let origin = FilledUnder { seen: &begun.seen, epoch: begun.epoch, began: begun.at };
        let entry = self.entry(origin, record).filter(|_| begun.seen.is_current());
        entry.is_some_and(|entry| place.replace(|| self.cache.local().memory.insert(entry)))
    }

    fn entry(&self, origin: FilledUnder<'_>, record: Record) -> Option<Arc<Entry>> {
        let fill = Fill { key: &self.key, plan: &self.plan, origin };
        let life = self.plan.life_of_put(&record)?;
        fill.entry(self.cache.clock().now(), Box::new(record), life, None, None)
    }

    /// Stores a record that was loaded for another key but belongs to this one. No request looks here before the other
    /// key's record names this one.
    pub(crate) async fn publish(&self, begun: &LoadStart, record: Record) {
        let Claim::Lead(leader) = self.cache.local().flights.claim(&self.key, || begun.seen.clone()) else { return };
        // After the claim: a gap in the messages that begins from now on detaches the flight.
        if self.cache.local().trust.epoch() != begun.epoch {
            return;
        }
        let job = LoadJob { expects_a_miss: true, has_outcome: true, span: Span::current(), ..self.job(None) };
        let work = Work::new(async move { Loaded::Value(Box::new(record)) });
        run(Box::new(Lead { job, leader }), work).await;
    }

    /// Stores in memory a record that was loaded for another key but belongs to this one. Some of its tags are known
    /// only from the response.
    ///
    /// One of these tags may have been voided during the load. If that was before, the watermark shows it; if it
    /// happens later, it changes the tag's generation, which is captured before the watermark is checked. The number
    /// that the tag had in the shared tier when the load began is not known, so the record is not stored there. The
    /// next load knows the tags beforehand.
    pub(crate) fn keep_tagged(&self, begun: &LoadStart, tags: &[String], record: Record) -> bool {
        let local = self.cache.local();
        let stamps: Vec<_> = tags.iter().map(|tag| self.cache.tag_stamp(tag)).collect();
        let seen = begun.seen.and(stamps.iter());
        let place = local.flights.reserve(&self.key, seen.clone());
        if local.stamps.any_voided_since(begun.watermark, stamps.iter().map(|stamp| stamp.name.hash)) {
            return false;
        }
        let entry = self.entry(FilledUnder { seen: &seen, epoch: begun.epoch, began: begun.at }, record);
        entry.is_some_and(|entry| seen.is_current() && place.store(|| local.memory.insert(entry)))
    }
}

/// The key of one of the variants. It contains a hash (BLAKE3, 192 bits) of the request's values in the fields that
/// choose the variant, because clients decide how long these values are.
pub(crate) fn variant_key(primary: &KeyBuf, variants: &Variants, chosen: &[u8]) -> KeyBuf {
    let mut key = primary.clone();
    key.literal("#");
    key.display(&format_args!("{:x}", variants.id));
    key.literal("#");
    key.text(&data_encoding::HEXLOWER.encode(&blake3::hash(chosen).as_bytes()[..24]));
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    static SITE: Site = Site::named("slot", 0).by_size();

    fn slot(cache: &HybridCache) -> HttpEntry {
        let mut key = KeyBuf::new();
        key.text("/p");
        HttpEntry::new(cache, &SITE, &key, vec![key.clone()], None)
    }

    fn stands(slot: &HttpEntry) -> bool {
        slot.cache.in_memory(&slot.key).is_some()
    }

    /// Killed by: storing beside the flight, whose older record would come last.
    #[test]
    fn what_is_kept_takes_the_place_of_what_a_flight_may_bring() {
        let cache = HybridCache::fallback();
        let slot = slot(&cache);
        let begun = slot.begin();
        let Claim::Lead(leader) = cache.local().flights.claim(&slot.key, || begun.seen.clone()) else {
            panic!("nobody else is there")
        };
        assert!(slot.keep(slot.reserve(&begun), &begun, Record::HitForPass(9)));
        assert!(stands(&slot));
        assert!(!leader.store(|| panic!("it was overtaken")));
    }

    /// Killed by: not looking at the stamps; a place that an invalidation of the key does not take.
    #[test]
    fn what_was_invalidated_meanwhile_is_not_kept() {
        let cache = HybridCache::fallback();
        let slot = slot(&cache);
        let begun = slot.begin();
        let place = slot.reserve(&begun);
        cache.tag_stamp("/p").void();
        assert!(!slot.keep(place, &begun, Record::HitForPass(9)));
        let begun = slot.begin();
        let place = slot.reserve(&begun);
        cache.local().invalidate(&slot.key, crate::shared::Invalidation::Delete);
        assert!(!slot.keep(place, &begun, Record::HitForPass(9)));
        assert!(!stands(&slot));
    }

    /// Killed by: not checking for invalidations since; tags that are left out.
    #[test]
    fn a_tag_that_the_answer_told_counts_from_the_beginning_of_its_load() {
        let cache = HybridCache::fallback();
        let (slot, tags) = (slot(&cache), ["new".to_owned()]);
        let begun = slot.begin();
        cache.local().stamps.void(cache.tag_stamp("new").name.hash);
        assert!(!slot.keep_tagged(&begun, &tags, Record::HitForPass(9)));
        let begun = slot.begin();
        assert!(slot.keep_tagged(&begun, &tags, Record::HitForPass(9)));
        assert!(stands(&slot));
        cache.local().stamps.void(cache.tag_stamp("new").name.hash);
        assert!(!stands(&slot));
    }
}
