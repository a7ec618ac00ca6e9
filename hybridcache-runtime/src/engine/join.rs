//! One who calls and has not been answered from memory: joins the key's flight, or leads one.
//!
//! [`Caller::join_or_lead`] is the choice, [`wait`] what joining means, [`fly`] what leading does: from there on it is the flight's
//! own way ([`crate::engine::run::lead`]), and the caller waits for its [`LoadOutcome`].

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::ready;
use tokio::time::Instant;
use tracing::Span;

use crate::cache::HybridCache;
use crate::coherence::stamps::StampSnapshot;
use crate::engine::run::{Errand, Reason, lead};
use crate::engine::scope::{self, Frame};
use crate::engine::task::{WAIT, Work};
use crate::entry::Entry;
use crate::entry::plan::Plan;
use crate::flight::inline::InlineDriver;
use crate::flight::outcome::Outcome;
use crate::flight::{Claim, Flights, Joined, Joiner, Leader};
use crate::function::call_key::Key;
use crate::primitives::timers::timeout_at;
use crate::stats::count;

/// How late a load's timeout may come to be known on a busy runtime.
const SLACK: Duration = Duration::from_millis(250);

/// Who asks, and until when.
pub(crate) struct Caller {
    pub(crate) cache: HybridCache,
    pub(crate) key: Arc<Key>,
    pub(crate) plan: Plan,
    pub(crate) deadline: Instant,
    /// The load that this call is part of.
    pub(crate) frame: Option<Arc<Frame>>,
}

/// What becomes of a call.
pub(crate) enum Next {
    Settled(Settled),
    /// Somebody loads.
    Wait(Caller, Joiner),
}

impl Next {
    pub(crate) fn answered(outcome: Outcome) -> Self {
        Self::Settled(Settled::Answered(outcome))
    }

    /// Waits until it is settled. Only who has to wait pays for a box.
    pub(crate) fn settled(self) -> impl Future<Output = Settled> + Send {
        match self {
            Self::Settled(settled) => ready(settled).left_future(),
            Self::Wait(caller, joiner) => wait(caller, joiner).boxed().right_future(),
        }
    }
}

/// What has become of a call.
pub(crate) enum Settled {
    Answered(Outcome),
    Load(Duty),
}

impl Caller {
    /// As it calls now.
    pub(crate) fn new(cache: HybridCache, key: Arc<Key>, plan: Plan) -> Self {
        let deadline = Instant::now() + plan.timeout.unwrap_or(WAIT);
        Self { cache, key, plan, deadline, frame: scope::frame() }
    }

    /// Waits for somebody else's load, unless it is this caller's turn to load.
    #[cfg(feature = "http")]
    pub(crate) async fn settle(self) -> Settled {
        self.join_or_lead().settled().await
    }

    pub(crate) fn flights(&self) -> &Arc<Flights> {
        &self.cache.local().flights
    }

    pub(crate) fn capture_stamps(&self) -> StampSnapshot {
        self.cache.capture_stamps(&self.key, &self.plan)
    }

    pub(crate) fn duty(self, leader: Leader, reason: Reason, stale: Option<Arc<Entry>>) -> Next {
        Next::Settled(Settled::Load(Duty::new(self, leader, reason, stale)))
    }

    pub(crate) fn duty_alone(self, reason: Reason) -> Next {
        let leader = self.flights().solo(&self.key);
        self.duty(leader, reason, None)
    }

    /// Whether it calls from the load of its own key: waiting for oneself would never end.
    pub(crate) fn is_within_its_load(&self) -> bool {
        self.frame.as_ref().is_some_and(|frame| frame.is_loading(&self.key))
    }

    /// One load per key in this process.
    pub(crate) fn join_or_lead(self) -> Next {
        if self.is_within_its_load() {
            return self.duty_alone(Reason::Bypass);
        }
        match self.flights().claim(&self.key, || self.capture_stamps()) {
            Claim::Lead(leader) => self.lead(leader),
            // Between the look into memory and the claim a value may have come: this would be the wait for its refresh.
            Claim::Join(joiner) => match self.brought_meanwhile() {
                Some(outcome) => Next::answered(outcome),
                None => Next::Wait(self, joiner),
            },
        }
    }

    /// What another flight has brought between the look into memory and the claim.
    fn brought_meanwhile(&self) -> Option<Outcome> {
        let outcome = Outcome::Value(self.cache.in_memory(&self.key).filter(|entry| self.plan.accepts(entry))?);
        self.can_have(&outcome).then(|| {
            self.key.function.counters.hits_memory.count();
            outcome
        })
    }

    fn lead(self, leader: Leader) -> Next {
        if let Some(outcome) = self.brought_meanwhile() {
            leader.finish(|_| outcome.clone());
            return Next::answered(outcome);
        }
        self.cache.local().memory.missed(&self.key);
        self.duty(leader, Reason::Miss, None)
    }

    /// Waits until the caller's own deadline. A load that is running by then and will have run into its own before the
    /// caller's would have passed once more is waited for: if it hangs, another one by each of its waiters would only hang
    /// too.
    async fn outcome_of(&self, mut joiner: Joiner) -> Option<Joined> {
        if let Some(course) = joiner.detach() {
            tokio::spawn(course);
        }
        if let Ok(joined) = timeout_at(self.deadline, &mut joiner).await {
            return Some(joined);
        }
        let soon = self.deadline + self.plan.timeout?;
        let ends_by = joiner.ends_by().filter(|ends_by| *ends_by <= soon)?;
        timeout_at(ends_by + SLACK, joiner).await.ok()
    }

    /// Whether an outcome has this caller's types, and can be had by one who only joined. Two functions that share an
    /// explicit name could differ.
    fn can_have(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Value(entry) => Any::type_id(&entry.value) == self.plan.value.value_type(),
            Outcome::Failed(failure) => failure.is_shared() && failure.error_type() == self.plan.error_type,
            Outcome::TimedOut => self.plan.timeout.is_some(),
            Outcome::Panicked(_) | Outcome::Abandoned => true,
        }
    }
}

/// Waits for the flight that a caller has joined, and for the next one where that one is not for it.
async fn wait(mut caller: Caller, mut joiner: Joiner) -> Settled {
    count(&caller.key.function.counters.joined);
    loop {
        if caller.frame.is_some() {
            joiner.hurry();
        }
        let next = match caller.outcome_of(joiner).await {
            Some(Joined::Outcome(outcome)) if caller.can_have(&outcome) => Next::answered(outcome),
            Some(Joined::Retry) => caller.join_or_lead(),
            // The error is not to be had twice: load now, and not one after the other.
            Some(Joined::Outcome(_)) => match caller.flights().lead(&caller.key, || caller.capture_stamps()) {
                Some(leader) => caller.lead(leader),
                None => caller.duty_alone(Reason::Bypass),
            },
            None => caller.duty_alone(Reason::WaitedTooLong),
        };
        match next {
            Next::Settled(settled) => return settled,
            Next::Wait(again, other) => (caller, joiner) = (again, other),
        }
    }
}

/// A load that is this call's to make.
pub(crate) struct Duty {
    errand: Box<Errand>,
    /// The load that this call is part of.
    frame: Option<Arc<Frame>>,
    /// What the caller gets meanwhile.
    stale: Option<Arc<Entry>>,
}

impl Duty {
    /// `stale`: what the caller gets meanwhile. That the key was deleted a short while ago is asked here, and so forgotten: for the
    /// one load that this is about.
    pub(crate) fn new(caller: Caller, leader: Leader, reason: Reason, stale: Option<Arc<Entry>>) -> Self {
        let Caller { cache, key, plan, deadline, frame } = caller;
        let expects_a_miss = matches!(reason, Reason::Miss) && cache.expects_a_miss(&key);
        let (nested, span) = (frame.is_some(), Span::current());
        let errand = Box::new(Errand { cache, plan, leader, reason, deadline, nested, expects_a_miss, span });
        Self { errand, frame, stale }
    }
}

/// Sets a flight going: in this caller where it has to look into the shared tier first, else in a task.
pub(crate) fn fly(duty: Duty, work: Work) -> LoadOutcome {
    let Duty { errand, frame, stale } = duty;
    let (joiner, work) = (errand.leader.starter(), work.within(frame));
    if errand.looks_first() {
        return LoadOutcome::Inline(InlineDriver::new(joiner, lead(errand, work)));
    }
    errand.spawn(work);
    match stale {
        Some(stale) => {
            count(&stale.meta.key.function.counters.refreshes);
            LoadOutcome::Meanwhile(stale)
        }
        None => LoadOutcome::Awaited(joiner),
    }
}

/// What a caller who has started a flight gets of it.
pub(crate) enum LoadOutcome {
    /// It goes on in the background.
    Meanwhile(Arc<Entry>),
    Awaited(Joiner),
    Inline(InlineDriver),
}

impl Future for LoadOutcome {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let joined = match self.get_mut() {
            Self::Meanwhile(stale) => return Poll::Ready(Outcome::Value(stale.clone())),
            Self::Awaited(joiner) => joiner.poll_unpin(context),
            Self::Inline(driver) => driver.poll_unpin(context),
        };
        joined.map(|joined| match joined {
            Joined::Outcome(outcome) => outcome,
            Joined::Retry => Outcome::Abandoned,
        })
    }
}
