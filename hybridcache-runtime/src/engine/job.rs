//! A call that memory has not answered, on its way through the engine.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::Span;

use crate::cache::{HybridCache, InMemory};
use crate::coherence::stamps::StampSnapshot;
use crate::engine::scope::{self, Frame};
use crate::engine::task::WAIT;
use crate::entry::plan::Plan;
use crate::entry::{Entry, RefreshClaim};
use crate::flight::{Flights, Leader};
use crate::function::call_key::Key;

/// One call: made once, and handed on by value from step to step.
pub(crate) struct LoadJob {
    pub(crate) cache: HybridCache,
    pub(crate) key: Arc<Key>,
    pub(crate) plan: Plan,
    pub(crate) reason: Reason,
    /// Until when it may wait for other loads.
    pub(crate) deadline: Instant,
    /// The load that this call is part of.
    pub(crate) frame: Option<Arc<Frame>>,
    /// Where the load's own spans and events belong.
    pub(crate) span: Span,
    /// What memory had at the latest look.
    pub(crate) in_memory: InMemory,
    /// The shared tier is likely to have nothing.
    pub(crate) expects_a_miss: bool,
}

/// Why a flight is made.
#[derive(Debug)]
pub(crate) enum Reason {
    /// A caller waits; anything that is cached will do.
    Miss,
    /// No caller waits: an entry is stale.
    Refresh(RefreshClaim),
    /// A caller waits for a value that was loaded from now on.
    Reload,
    /// A caller waits; nothing is read or stored.
    Bypass,
    /// The same, for a caller that has waited for other loads until its deadline.
    WaitedTooLong,
}

/// A job, and the right to lead the flight of its key.
pub(crate) struct Lead {
    pub(crate) job: LoadJob,
    pub(crate) leader: Leader,
}

impl LoadJob {
    /// As the caller calls now.
    pub(crate) fn new(cache: HybridCache, key: Arc<Key>, plan: Plan) -> Self {
        let deadline = Instant::now() + plan.timeout.unwrap_or(WAIT);
        Self {
            cache,
            key,
            plan,
            reason: Reason::Miss,
            deadline,
            frame: scope::frame(),
            span: Span::none(),
            in_memory: InMemory::Nothing,
            expects_a_miss: false,
        }
    }

    pub(crate) fn flights(&self) -> &Arc<Flights> {
        &self.cache.local().flights
    }

    pub(crate) fn capture_stamps(&self) -> StampSnapshot {
        self.cache.capture_stamps(&self.key, &self.plan)
    }

    /// Whether it is part of a load of its own key: waiting for that load would never end.
    pub(crate) fn is_within_its_load(&self) -> bool {
        self.frame.as_ref().is_some_and(|frame| frame.is_loading(&self.key))
    }

    /// The entry that the caller gets while its refresh runs.
    pub(crate) fn meanwhile(&self) -> Option<&Arc<Entry>> {
        match (&self.reason, &self.in_memory) {
            (Reason::Refresh(_), InMemory::Usable(stale)) => Some(stale),
            _ => None,
        }
    }

    /// Leads the key's flight. Consumes the hint that the key was deleted a short while ago: it serves one load only.
    pub(crate) fn lead(mut self, leader: Leader) -> Box<Lead> {
        self.expects_a_miss = matches!(self.reason, Reason::Miss) && self.cache.expects_a_miss(&self.key);
        self.span = Span::current();
        Box::new(Lead { job: self, leader })
    }
}
