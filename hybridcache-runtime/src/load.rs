//! The path of one call, from the attribute's expansion to its value. Read it top to bottom:
//!
//! 1. [`begin`] looks in memory. A fresh value, or a stale one that is being refreshed, is returned there and then.
//! 2. [`Cold::join`] decides what the call is: a stale hit, a bypass, a refresh, or a miss. A miss joins the key's flight
//!    and waits, or it is this call's [`Turn`] to load. Only then are arguments cloned.
//! 3. [`Turn::load`] runs the load in a task of its own ([`crate::refresh::lead`]), and waits for it like everybody.
//!
//! The engine is compiled once: from `join` on it knows no types, and `answer` puts them on again.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::ready;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};
use tracing::Span;

use crate::cache::HybridCache;
use crate::clock::Millis;
use crate::entry::{Entry, RefreshClaim, State};
use crate::flight::{Claim, Flights, Joined, Joiner, Leader};
use crate::function::{Instance, Key, Lookup};
use crate::key::KeyBuf;
use crate::outcome::Outcome;
use crate::pilot::Pilot;
use crate::refresh::{Errand, Goal, lead};
use crate::scope::{self, Frame, Mode};
use crate::settings::{Plan, Settings};
use crate::shape::{Returned, Shape, typed_error};
use crate::stamps::Seen;
use crate::stats::count;
use crate::work::{Loaded, WAIT, Work};

/// How late a load's timeout may come to be known on a busy runtime.
const SLACK: Duration = Duration::from_millis(250);

/// What a look into memory gave.
#[derive(Debug)]
pub enum Begin<S: Shape> {
    /// The call is answered.
    Hit(S::Return),
    /// It is not, or it is and a refresh is due.
    Cold(Cold<S>),
}

/// A call that memory alone does not settle.
#[derive(Debug)]
pub struct Cold<S: Shape> {
    call: Call,
    shape: PhantomData<fn() -> S>,
}

/// The same without its types.
#[derive(Debug)]
struct Call {
    cache: HybridCache,
    key: Arc<Key>,
    mode: Mode,
    stale: Option<(Arc<Entry>, RefreshClaim)>,
}

/// A call that has to load.
pub struct Turn<S: Shape> {
    duty: Duty,
    timed_out: Option<fn() -> S::Return>,
}

/// The same without its types.
pub(crate) struct Duty {
    errand: Box<Errand>,
    /// The load that this call is part of.
    frame: Option<Arc<Frame>>,
    /// What the caller gets meanwhile.
    stale: Option<Arc<Entry>>,
}

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
enum Next {
    Settled(Settled),
    /// Somebody loads.
    Wait(Caller, Joiner),
}

/// What has become of a call.
pub(crate) enum Settled {
    Answered(Outcome),
    Load(Duty),
}

/// What a caller who has started a flight gets of it.
pub(crate) enum Landing {
    /// It goes on in the background.
    Meanwhile(Arc<Entry>),
    Awaited(Joiner),
    Piloted(Pilot),
}

/// Looks in memory: all that a hit costs.
#[inline]
pub fn begin<S: Shape>(cache: &HybridCache, instance: Instance<'_>, key: &KeyBuf, _: S) -> Begin<S> {
    let lookup = cache.lookup(&instance, key);
    let mode = scope::mode();
    if mode == Mode::Normal
        && let Some(value) = hit(cache, &lookup)
    {
        return Begin::Hit(S::give(value));
    }
    begin_cold(cache, &lookup, mode)
}

/// A copy of what memory has, unless a refresh of it is due.
#[inline]
fn hit<V: Clone + 'static>(cache: &HybridCache, lookup: &Lookup<'_>) -> Option<V> {
    let local = cache.local();
    local.memory.look(lookup, |entry| {
        let value = entry.value.downcast_ref::<V>()?;
        let now = local.clock.now();
        let is_hit = entry.meta.is_fresh(now, local.trust.now()) || is_refreshed_by_another(cache, entry, now);
        is_hit.then(|| {
            local.memory.count_hit(&entry.meta.key);
            value.clone()
        })
    })?
}

/// Whether it is stale, and this call has nothing to do about that.
#[cold]
#[inline(never)]
fn is_refreshed_by_another(cache: &HybridCache, entry: &Arc<Entry>, now: Millis) -> bool {
    let is_hit = cache.state(entry, now) == State::Stale && !RefreshClaim::is_due(entry, now);
    if is_hit {
        entry.meta.key.function.counters.stale_hits.count();
    }
    is_hit
}

#[cold]
#[inline(never)]
fn begin_cold<S: Shape>(cache: &HybridCache, lookup: &Lookup<'_>, mode: Mode) -> Begin<S> {
    let key = cache.key(lookup);
    let mut stale = None;
    if mode == Mode::Normal
        && let Some(entry) = cache.in_memory(&key).filter(|entry| entry.value.is::<S::Value>())
    {
        cache.local().memory.count_hit(&entry.meta.key);
        let now = cache.clock().now();
        if cache.state(&entry, now) == State::Stale {
            key.function.counters.stale_hits.count();
            stale = RefreshClaim::take(&entry, cache.clock(), now).map(|claim| (entry.clone(), claim));
        }
        // Somebody has come first, or it has been loaded meanwhile.
        if stale.is_none()
            && let Some(value) = entry.value.downcast_ref::<S::Value>()
        {
            return Begin::Hit(S::give(value.clone()));
        }
    }
    Begin::Cold(Cold { call: Call { cache: cache.clone(), key, mode, stale }, shape: PhantomData })
}

impl<S: Shape> Cold<S> {
    /// Waits for somebody else's load, unless it is this call's turn to load.
    pub fn join(self, settings: Settings<S>) -> impl Future<Output = Result<S::Return, Turn<S>>> + Send {
        let Settings { plan, timed_out } = settings;
        let settled = match join(self.call, plan) {
            Next::Settled(settled) => ready(settled).left_future(),
            // Only who has to wait pays for a box.
            Next::Wait(caller, joiner) => wait(caller, joiner).boxed().right_future(),
        };
        settled.map(move |settled| settled.typed(timed_out))
    }
}

impl<S: Shape> Turn<S> {
    /// Loads in a task of its own, so that this caller may go away, and waits for it; in the background where there is a
    /// stale value to return at once.
    pub fn load<F, Fut>(self, load: F) -> impl Future<Output = S::Return> + Send
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = S::Return> + Send + 'static,
    {
        let Self { duty, timed_out } = self;
        let work = Work::new(async move { erase::<S>(load().await) });
        fly(duty, work).map(move |outcome| answer::<S>(outcome, timed_out))
    }
}

impl Settled {
    fn typed<S: Shape>(self, timed_out: Option<fn() -> S::Return>) -> Result<S::Return, Turn<S>> {
        match self {
            Self::Answered(outcome) => Ok(answer::<S>(outcome, timed_out)),
            Self::Load(duty) => Err(Turn { duty, timed_out }),
        }
    }
}

fn join(call: Call, plan: Plan) -> Next {
    let Call { cache, key, mode, stale } = call;
    let caller = Caller::new(cache, key, plan);
    match (stale, mode) {
        // Outside of a runtime nothing can run in the background.
        (Some((entry, claim)), _) if Handle::try_current().is_err() => {
            claim.done();
            answered(Outcome::Value(entry))
        }
        (Some((entry, claim)), _) => match caller.flights().lead(&caller.key, caller.seen()) {
            Some(leader) => caller.load(leader, Goal::Refresh(claim), Some(entry)),
            None => {
                claim.done();
                answered(Outcome::Value(entry))
            }
        },
        (None, Mode::Bypass) => caller.load_alone(Goal::Alone),
        (None, Mode::Refresh) if caller.is_within_its_load() => caller.load_alone(Goal::Alone),
        (None, Mode::Refresh) => {
            let leader = caller.flights().supersede(&caller.key, caller.seen());
            caller.load(leader, Goal::Anew, None)
        }
        (None, Mode::Normal) => caller.join_or_lead(),
    }
}

fn answered(outcome: Outcome) -> Next {
    Next::Settled(Settled::Answered(outcome))
}

/// Waits for the flight that a caller has joined, and for the next one where that one is not for it.
async fn wait(mut caller: Caller, mut joiner: Joiner) -> Settled {
    count(&caller.key.function.counters.joined);
    loop {
        if caller.frame.is_some() {
            joiner.hurry();
        }
        let next = match caller.landing_of(joiner).await {
            Some(Joined::Outcome(outcome)) if caller.can_have(&outcome) => answered(outcome),
            Some(Joined::Retry) => caller.join_or_lead(),
            // The error is not to be had twice: load now, and not one after the other.
            Some(Joined::Outcome(_)) => match caller.flights().lead(&caller.key, caller.seen()) {
                Some(leader) => caller.lead(leader),
                None => caller.load_alone(Goal::Alone),
            },
            None => caller.load_alone(Goal::Overdue),
        };
        match next {
            Next::Settled(settled) => return settled,
            Next::Wait(again, other) => (caller, joiner) = (again, other),
        }
    }
}

/// Starts a flight: in this caller where it has to look into the shared tier first, else in a task.
pub(crate) fn fly(duty: Duty, work: Work) -> Landing {
    let Duty { errand, frame, stale } = duty;
    let (joiner, work) = (errand.leader.caller(), work.within(frame));
    if errand.looks_first() {
        return Landing::Piloted(Pilot::new(joiner, lead(errand, work)));
    }
    errand.spawn(work);
    match stale {
        Some(stale) => {
            count(&stale.meta.key.function.counters.refreshes);
            Landing::Meanwhile(stale)
        }
        None => Landing::Awaited(joiner),
    }
}

impl Future for Landing {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let joined = match self.get_mut() {
            Self::Meanwhile(stale) => return Poll::Ready(Outcome::Value(stale.clone())),
            Self::Awaited(joiner) => joiner.poll_unpin(context),
            Self::Piloted(pilot) => pilot.poll_unpin(context),
        };
        joined.map(|joined| match joined {
            Joined::Outcome(outcome) => outcome,
            Joined::Retry => Outcome::Abandoned,
        })
    }
}

impl Duty {
    /// `stale`: what the caller gets meanwhile.
    pub(crate) fn new(caller: Caller, leader: Leader, goal: Goal, stale: Option<Arc<Entry>>) -> Self {
        let Caller { cache, key, plan, deadline, frame } = caller;
        let expects_a_miss = matches!(goal, Goal::Value) && cache.expects_a_miss(&key);
        let (nested, span) = (frame.is_some(), Span::current());
        let errand = Box::new(Errand { cache, plan, leader, goal, deadline, nested, expects_a_miss, span });
        Self { errand, frame, stale }
    }
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
        match self.join_or_lead() {
            Next::Settled(settled) => settled,
            Next::Wait(caller, joiner) => wait(caller, joiner).await,
        }
    }

    fn flights(&self) -> &Arc<Flights> {
        &self.cache.local().flights
    }

    fn seen(&self) -> Seen {
        self.cache.seen(&self.key, &self.plan)
    }

    fn load(self, leader: Leader, goal: Goal, stale: Option<Arc<Entry>>) -> Next {
        Next::Settled(Settled::Load(Duty::new(self, leader, goal, stale)))
    }

    fn load_alone(self, goal: Goal) -> Next {
        let leader = self.flights().solo(&self.key);
        self.load(leader, goal, None)
    }

    /// Whether it calls from the load of its own key: waiting for oneself would never end.
    fn is_within_its_load(&self) -> bool {
        self.frame.as_ref().is_some_and(|frame| frame.is_loading(&self.key))
    }

    /// One load per key in this process.
    fn join_or_lead(self) -> Next {
        if self.is_within_its_load() {
            return self.load_alone(Goal::Alone);
        }
        match self.flights().claim(&self.key, || self.seen()) {
            Claim::Lead(leader) => self.lead(leader),
            // Between the look into memory and the claim a value may have come: this would be the wait for its refresh.
            Claim::Join(joiner) => match self.landed() {
                Some(outcome) => answered(outcome),
                None => Next::Wait(self, joiner),
            },
        }
    }

    /// What another flight has brought between the look into memory and the claim.
    fn landed(&self) -> Option<Outcome> {
        let outcome = Outcome::Value(self.cache.in_memory(&self.key).filter(|entry| self.plan.accepts(entry))?);
        self.can_have(&outcome).then(|| {
            self.key.function.counters.hits_memory.count();
            outcome
        })
    }

    fn lead(self, leader: Leader) -> Next {
        if let Some(outcome) = self.landed() {
            leader.finish(|_| outcome.clone());
            return answered(outcome);
        }
        self.cache.local().memory.missed(&self.key);
        self.load(leader, Goal::Value, None)
    }

    /// Waits until the caller's own deadline. A load that is running by then and will have run into its own before the
    /// caller's would have passed once more is waited for: if it hangs, another one by each of its waiters would only hang
    /// too.
    async fn landing_of(&self, mut joiner: Joiner) -> Option<Joined> {
        if let Some(course) = joiner.take_over() {
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

fn erase<S: Shape>(returned: S::Return) -> Loaded {
    match S::split(returned) {
        Returned::Value(value) => Loaded::Value(Box::new(value)),
        Returned::NotStored(value) => Loaded::NotStored(Box::new(value)),
        Returned::Error(error) => Loaded::Error(Box::new(|others| S::failure(error, others))),
    }
}

/// The outcome in the function's own types. What [`Caller::can_have`] has ruled out ends as a panic of the load does.
fn answer<S: Shape>(outcome: Outcome, timed_out: Option<fn() -> S::Return>) -> S::Return {
    let ended = |why: &str| resume_unwind(Box::new(why.to_owned()));
    match outcome {
        Outcome::Value(entry) => match entry.value.downcast_ref::<S::Value>() {
            Some(value) => S::give(value.clone()),
            None => ended("the cached value is of another type"),
        },
        Outcome::Failed(failure) => match failure.take().and_then(typed_error::<S>) {
            Some(error) => S::fail(error),
            None => ended("the load's error is of another type, or taken"),
        },
        Outcome::TimedOut => match timed_out {
            Some(timed_out) => timed_out(),
            None => ended("the load timed out"),
        },
        Outcome::Panicked(message) => ended(&message),
        Outcome::Abandoned => {
            ended("the load's task ended early: its runtime was shut down, or `weigh` or a `Serialize` panicked")
        }
    }
}

impl<S: Shape> fmt::Debug for Turn<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("goal", &self.duty.errand.goal).finish_non_exhaustive()
    }
}
