//! The state of a cache in this process, and how messages from other processes change it.

use std::sync::Arc;

use tokio::time::Instant;

use crate::cache::puts::Puts;
use crate::coherence::epoch::EpochClock;
use crate::coherence::outage::Outage;
use crate::coherence::stamps::Stamps;
use crate::entry::Entry;
use crate::entry::drops::Disposal;
use crate::flight::Flights;
use crate::function::call_key::Key;
use crate::function::miss_predictor::RecentDeletes;
use crate::memory::MemoryTier;
use crate::observe::stream::Settings;
use crate::observe::{EventKind, Stream, Subject};
use crate::primitives::clock::{Clock, Millis};
use crate::primitives::sync::atomic::{AtomicU64, Ordering};
use crate::shared::breaker::Breaker;
use crate::shared::journal::Journal;
use crate::shared::wakeups::Wakeups;
use crate::shared::wire::names::Address;
use crate::shared::{Invalidation, Listener, Remote, RemoteError, StampName, Wake};

/// The state of one cache object in this process.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) clock: Clock,
    pub(crate) memory: MemoryTier,
    pub(crate) flights: Arc<Flights>,
    pub(crate) stamps: Stamps,
    pub(crate) waiters: Arc<Wakeups>,
    pub(crate) deleted: RecentDeletes,
    pub(crate) puts: Puts,
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) trust: EpochClock,
    /// Drops the values that messages remove.
    pub(crate) disposal: Arc<Disposal>,
    /// The latest epoch for which the recently acknowledged invalidations have been replayed.
    replayed_through: AtomicU64,
    /// What happens to the cache as a whole.
    pub(crate) events: Arc<Subject>,
    #[cfg(feature = "inspector")]
    pub(crate) questions: crate::cache::questions::Questions,
    /// Answers the questions of other processes.
    #[cfg(feature = "inspector")]
    answer: Answers,
}

/// Called with the process that asks and the number of its question.
#[cfg(feature = "inspector")]
type Answer = Box<dyn Fn(u64, u64) + Send + Sync>;

#[cfg(feature = "inspector")]
#[derive(Default)]
struct Answers(std::sync::OnceLock<Answer>);

#[cfg(feature = "inspector")]
impl std::fmt::Debug for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answers(..)")
    }
}

impl Local {
    pub(crate) fn new(namespace: &str, memory: MemoryTier, outage: Outage) -> Self {
        Self::observed(namespace, memory, outage, Settings::default())
    }

    pub(crate) fn observed(namespace: &str, memory: MemoryTier, outage: Outage, settings: Settings) -> Self {
        let (breaker, trust) = (Arc::new(Breaker::default()), EpochClock::new(outage));
        trust.watch_hits(settings.observe_hits);
        Self {
            clock: Clock::start(),
            memory,
            flights: Arc::new(Flights::new()),
            stamps: Stamps::default(),
            waiters: Arc::default(),
            deleted: RecentDeletes::default(),
            puts: Puts::default(),
            journal: Arc::new(Journal::new(StampName::of_namespace(namespace), breaker.clone())),
            breaker,
            trust,
            disposal: Arc::default(),
            replayed_through: AtomicU64::new(0),
            events: Arc::new(Subject::of_cache(Arc::new(Stream::new(namespace, settings)))),
            #[cfg(feature = "inspector")]
            questions: Default::default(),
            #[cfg(feature = "inspector")]
            answer: Answers::default(),
        }
    }

    #[cfg(feature = "inspector")]
    pub(crate) fn answer_with(&self, answer: Answer) {
        let _ = self.answer.0.set(answer);
    }

    /// The current epoch, if the recently acknowledged invalidations have not been replayed in it yet.
    pub(crate) fn gap(&self) -> Option<u64> {
        let epoch = self.trust.epoch();
        (epoch > self.replayed_through.load(Ordering::Acquire)).then_some(epoch)
    }

    /// Notes that they have been replayed.
    pub(crate) fn replayed_through(&self, gap: u64) {
        self.replayed_through.fetch_max(gap, Ordering::AcqRel);
        self.journal.release(gap);
    }

    /// Puts an entry into memory, or marks it as verified if it is there already.
    pub(crate) fn admit(&self, entry: &Arc<Entry>, epoch: u64, proven_at: Millis) {
        match self.memory.visit(&entry.meta.key, |held| Arc::ptr_eq(held, entry)) {
            Some(true) => entry.meta.proof.renew(epoch, proven_at),
            _ => self.memory.insert(entry.clone()),
        }
    }

    /// Invalidates the key here: loads that began before can no longer store.
    pub(crate) fn invalidate(&self, key: &Arc<Key>, mode: Invalidation) {
        self.flights.detach(key.id(), || {
            match mode {
                Invalidation::Delete => self.memory.remove(key),
                Invalidation::Expire => drop(self.memory.visit(key, |entry| entry.meta.expire())),
            }
            self.invalidate_held(key.id(), mode);
        });
    }

    /// Sends the invalidation of a key to the shared tier, for every version of its function.
    pub(crate) async fn tell_invalidated(
        &self,
        remote: &dyn Remote,
        key: &Address,
        mode: Invalidation,
    ) -> Result<(), RemoteError> {
        let stamp = key.stamp().hash;
        self.stamps.found(stamp, remote.invalidate(key, &self.stamps.versions(stamp), mode).await)
    }

    fn invalidate_held(&self, id: u64, mode: Invalidation) {
        for entry in self.memory.with_id(id).iter().filter_map(|kept| kept.as_ref()) {
            match mode {
                Invalidation::Delete => {
                    entry.meta.kill();
                    self.memory.remove(&entry.meta.key);
                }
                Invalidation::Expire => entry.meta.expire(),
            }
        }
    }
}

impl Listener for Local {
    fn woken(&self, key_id: u64, wake: Wake) {
        self.waiters.wake(key_id, wake);
    }

    fn invalidated(&self, key_id: u64, mode: Invalidation, _origin: u64) {
        self.events.happened(None, EventKind::InvalidationReceived);
        self.disposal.during(|| self.flights.detach(key_id, || self.invalidate_held(key_id, mode)));
    }

    fn restamped(&self, stamp: u64, _origin: u64) {
        self.events.happened(None, EventKind::InvalidationReceived);
        self.stamps.void(stamp);
    }

    fn renumbered(&self, stamp: u64, number: u64) {
        self.stamps.renumber(stamp, number);
    }

    fn resubscribed(&self, kept: bool) {
        // An earlier gap that has not been replayed yet remains one.
        let kept = kept && self.gap().is_none();
        self.stamps.forget_all();
        self.trust.begin_epoch();
        self.events.happened(None, EventKind::EpochBegan);
        // Flights from before may have missed an invalidation, too: calls from now on must not join them.
        self.flights.detach_all();
        if kept || self.journal.is_empty() {
            self.replayed_through(self.trust.epoch());
        }
        // A failover can undo acknowledged invalidations: the recovery replays them before anything is read, and sends
        // those that are pending for a part of the tier that was down.
        if self.gap().is_some() || self.journal.pending() > 0 {
            self.breaker.open();
        }
        self.breaker.probe_soon();
    }

    fn proven(&self, until: Instant) {
        self.trust.proven(self.clock.at(until));
    }

    #[cfg(feature = "inspector")]
    fn asked(&self, from: u64, nonce: u64) {
        if let Some(answer) = self.answer.0.get() {
            answer(from, nonce);
        }
    }

    #[cfg(feature = "inspector")]
    fn answered(&self, nonce: u64, answer: &[u8]) {
        self.questions.answered(nonce, answer);
    }

    fn warned(&self, is_due: bool, kind: &'static str, what: &str, reason: &str) {
        self.events.warn(is_due, kind, what, Some(&reason));
    }

    fn disconnected(&self) {
        self.trust.disconnected();
        self.journal.retain_until(self.trust.epoch() + 1);
        self.waiters.wake_all(Wake::Released);
    }
}
