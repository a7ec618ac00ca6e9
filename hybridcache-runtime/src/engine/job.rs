//! A call that memory has not answered, as it goes through the engine.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::time::Instant;
use tracing::Span;

use crate::cache::{HybridCache, InMemory};
use crate::coherence::stamps::StampSnapshot;
use crate::engine::explain::{Explained, Source};
use crate::engine::remembered::is_remembered;
use crate::engine::scope::{self, Frame};
use crate::engine::soft_timeout::Softly;
use crate::engine::task::WAIT;
use crate::entry::plan::Plan;
use crate::entry::{Entry, RefreshClaim};
use crate::flight::{Flights, Leader};
use crate::function::call_key::Key;
use crate::observe::{EventKind, Tier, spans};

/// One call. It is made once, and passed by value from step to step.
pub(crate) struct LoadJob {
    pub(crate) cache: HybridCache,
    pub(crate) key: Arc<Key>,
    pub(crate) plan: Plan,
    pub(crate) reason: Reason,
    /// The latest time until which it waits for other loads.
    pub(crate) deadline: Instant,
    /// The load that makes this call, if it is a nested one.
    pub(crate) frame: Option<Arc<Frame>>,
    /// The parent of the load's own spans and events.
    pub(crate) span: Span,
    /// What the latest look into memory found.
    pub(crate) in_memory: InMemory,
    /// What the shared tier had where the load begins.
    pub(crate) stood: Stood,
    /// The shared tier probably has no entry: ask for the lease together with the read.
    pub(crate) expects_a_miss: bool,
    /// The outcome of this call is named: see [`Self::turned_out`].
    pub(crate) has_outcome: bool,
    /// Its caller wants to know how it is answered.
    pub(crate) explained: Option<Explained>,
}

/// What the shared tier had for a key, as its lookup has found.
#[derive(Clone, Debug, Default)]
pub(crate) enum Stood {
    /// It was not asked, or did not answer: what memory has counts.
    #[default]
    Unknown,
    /// Nothing that this call could use: the key may have been invalidated, and the message be on its way.
    Nothing,
    /// This entry, when the lease was granted.
    Entry(Arc<Entry>),
}

/// Why a flight is made.
#[derive(Debug)]
pub(crate) enum Reason {
    /// A caller waits; any cached value answers it.
    Miss,
    /// An entry is stale. No caller waits.
    Refresh(RefreshClaim),
    /// A caller waits for a value whose load begins now or later.
    Reload,
    /// A caller waits; nothing is read or stored.
    Bypass,
    /// As `Bypass`, for a caller that has waited for other loads until its deadline. Where there is a shared tier, it
    /// counts as a degraded load.
    WaitedTooLong,
}

/// A job that leads the flight of its key.
pub(crate) struct Lead {
    pub(crate) job: LoadJob,
    pub(crate) leader: Leader,
}

impl LoadJob {
    /// A job for a call that is made now, in the scope of the current task.
    pub(crate) fn new(cache: HybridCache, key: Arc<Key>, mut plan: Plan) -> Self {
        let deadline = deadline(&plan);
        plan.freshness.spread = cache.spread();
        if plan.freshness.soft_timeout.is_some() {
            key.function.waits_for_refresh.store(true, Relaxed);
        }
        Self {
            cache,
            key,
            plan,
            reason: Reason::Miss,
            deadline,
            frame: scope::frame(),
            span: Span::none(),
            in_memory: InMemory::Nothing,
            stood: Stood::Unknown,
            expects_a_miss: false,
            has_outcome: false,
            explained: None,
        }
    }

    /// Names the outcome of the call. A call has one, the first that is named: a call that has joined a load may have to load for itself
    /// later, and stays a joined one. A refresh is no call.
    pub(crate) fn turned_out(&mut self, outcome: EventKind<'_>) {
        let is_call = !matches!(self.reason, Reason::Refresh(_));
        if is_call && !std::mem::replace(&mut self.has_outcome, true) {
            self.key.happened(outcome);
            self.explain(outcome);
        }
    }

    fn explain(&self, outcome: EventKind<'_>) {
        let Some(explained) = &self.explained else { return };
        explained.source(match outcome {
            EventKind::Hit { tier: Tier::Memory, .. } => Source::Memory,
            EventKind::Hit { tier: Tier::Shared, .. } => Source::Shared,
            EventKind::Joined => Source::Joined,
            EventKind::Bypassed if matches!(self.reason, Reason::Bypass) => Source::Bypassed,
            _ => Source::Load,
        });
    }

    /// The call has its answer: this entry, if there is one.
    pub(crate) fn answered(&self, entry: Option<&Entry>) {
        if let Some(explained) = &self.explained {
            explained.ended(&self.cache, entry);
        }
    }

    pub(crate) fn flights(&self) -> &Arc<Flights> {
        &self.cache.local().flights
    }

    /// The entry that a load of this job would replace.
    pub(crate) fn previous(&self) -> Option<Arc<Entry>> {
        let entry = match (&self.stood, &self.reason) {
            (_, Reason::Bypass | Reason::WaitedTooLong) | (Stood::Nothing, _) => None,
            (Stood::Entry(entry), _) => Some(entry.clone()),
            (Stood::Unknown, Reason::Refresh(claim)) => Some(claim.entry().clone()),
            (Stood::Unknown, Reason::Miss | Reason::Reload) => self.cache.in_memory(&self.key),
        };
        entry.filter(|entry| !is_remembered(entry))
    }

    /// How a stale hit of this job waits for its refresh, if it does.
    pub(super) fn softly(&self) -> Option<Softly> {
        let at_most = self.plan.freshness.soft_timeout?;
        Some(Softly { cache: self.cache.clone(), key: self.key.clone(), explained: self.explained.clone(), at_most })
    }

    pub(crate) fn capture_stamps(&self) -> StampSnapshot {
        self.cache.capture_stamps(&self.key, &self.plan)
    }

    /// Whether this call is nested in a load of its own key. Waiting for that load would be a deadlock.
    pub(crate) fn is_within_its_load(&self) -> bool {
        self.frame.as_ref().is_some_and(|frame| frame.is_loading(&self.key))
    }

    /// The stale entry that the caller gets while its refresh runs.
    pub(crate) fn meanwhile(&self) -> Option<&Arc<Entry>> {
        match (&self.reason, &self.in_memory) {
            (Reason::Refresh(_), InMemory::Usable(stale)) => Some(stale),
            _ => None,
        }
    }

    /// From here on the job is a background refresh: in a span of its own.
    pub(crate) fn enter_refresh(&mut self) {
        let hit = std::mem::replace(&mut self.span, Span::none());
        self.span = spans::refresh(&self.key.function.events, &**self.key, hit);
    }

    /// Leads the key's flight. Consumes the recent-delete hint of the key: it serves one load only.
    pub(crate) fn lead(mut self, leader: Leader) -> Box<Lead> {
        self.expects_a_miss = matches!(self.reason, Reason::Miss) && self.cache.expects_a_miss(&self.key);
        self.span = Span::current();
        if matches!(self.reason, Reason::Refresh(_)) {
            self.enter_refresh();
        }
        Box::new(Lead { job: self, leader })
    }
}

/// The deadline of a wait for other loads that begins now.
pub(crate) fn deadline(plan: &Plan) -> Instant {
    Instant::now() + plan.timeout.unwrap_or(WAIT)
}
