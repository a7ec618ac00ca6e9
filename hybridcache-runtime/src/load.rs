//! The path of one call, from the attribute's expansion to its value. Read it top to bottom:
//!
//! 1. [`begin`] looks in memory. A fresh value, or a stale one that is being refreshed, is returned there and then.
//! 2. [`Cold::run`] erases the types; from here on the engine is compiled once.
//! 3. [`answer`] decides what the call is: a bypass, a refresh, a stale hit, or a miss.
//! 4. [`join_or_lead`] joins the key's flight, or starts one in its own task ([`crate::refresh::lead`]), and waits.

use std::any::Any;
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::Span;

use crate::cache::HybridCache;
use crate::entry::{Entry, RefreshClaim, State};
use crate::flight::{Claim, Joined, Joiner, Leader};
use crate::function::{Instance, Key};
use crate::key::KeyBuf;
use crate::outcome::Outcome;
use crate::refresh::{Errand, Goal, lead};
use crate::scope::{self, Mode};
use crate::settings::{Plan, Settings};
use crate::shape::{Returned, Shape, typed_error};
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

/// Looks in memory: all that a hit costs.
#[inline]
pub fn begin<S: Shape>(cache: &HybridCache, instance: Instance<'_>, key: KeyBuf, _: S) -> Begin<S> {
    let lookup = cache.lookup(instance, key.as_bytes());
    let mode = scope::mode();
    let mut stale = None;
    if mode == Mode::Normal
        && let Some(entry) = cache.local().memory.find(&lookup)
        && let Some(value) = entry.value.downcast_ref::<S::Value>()
    {
        let now = cache.clock().now();
        let counters = &entry.meta.key.function.counters;
        match entry.meta.state(now, cache.local().epoch()) {
            State::Fresh => {
                counters.hits_memory.count();
                return Begin::Hit(S::give(value.clone()));
            }
            State::Stale => {
                counters.hits_memory.count();
                counters.stale_hits.count();
                match RefreshClaim::take(&entry, cache.clock(), now) {
                    None => return Begin::Hit(S::give(value.clone())),
                    Some(claim) => stale = Some((entry, claim)),
                }
            }
            State::Gone => {}
        }
    }
    let key = match &stale {
        Some((entry, _)) => entry.meta.key.clone(),
        None => cache.key(lookup),
    };
    Begin::Cold(Cold { call: Call { cache: cache.clone(), key, mode, stale }, shape: PhantomData })
}

impl<S: Shape> Cold<S> {
    /// Goes on with what a load needs. The load runs in its own task, now, later or never.
    pub fn run<F, Fut>(self, settings: Settings<S>, load: F) -> Pin<Box<dyn Future<Output = S::Return> + Send>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = S::Return> + Send + 'static,
    {
        let work = Work::new(async move || erase::<S>(load().await));
        let Settings { plan, timed_out } = settings;
        let call = self.call;
        Box::pin(async move {
            match answer(call, work, &plan).await {
                Outcome::Value(entry) => give::<S>(&entry),
                Outcome::Failed(failure) => fail::<S>(failure.take()),
                Outcome::TimedOut => match timed_out {
                    Some(timed_out) => timed_out(),
                    // Only the load of a function with a `timeout` ends so.
                    None => resume_unwind(Box::new("the load timed out".to_owned())),
                },
                Outcome::Panicked(message) => resume_unwind(Box::new(message.to_string())),
                Outcome::Abandoned => resume_unwind(Box::new("the load's runtime was shut down".to_owned())),
            }
        })
    }
}

fn erase<S: Shape>(returned: S::Return) -> Loaded {
    match S::split(returned) {
        Returned::Value(value) => Loaded::Value(Box::new(value)),
        Returned::NotStored(value) => Loaded::NotStored(Box::new(value)),
        Returned::Error(error) => Loaded::Error(Box::new(|others| S::failure(error, others))),
    }
}

fn give<S: Shape>(entry: &Entry) -> S::Return {
    match entry.value.downcast_ref::<S::Value>() {
        Some(value) => S::give(value.clone()),
        // `is_for` has compared the types.
        None => resume_unwind(Box::new("a value of another type".to_owned())),
    }
}

fn fail<S: Shape>(error: Option<Box<dyn Any + Send>>) -> S::Return {
    match error.and_then(typed_error::<S>) {
        Some(error) => S::fail(error),
        // `is_for` has compared the types, and that the error can be had.
        None => resume_unwind(Box::new("an error of another type".to_owned())),
    }
}

/// What the call is.
async fn answer(call: Call, work: Work, plan: &Plan) -> Outcome {
    let Call { cache, key, mode, stale } = call;
    let started = Instant::now();
    let frame = scope::frame();
    let again = frame.as_ref().is_some_and(|frame| frame.is_loading(&key));
    let call = Caller { cache, key, plan, deadline: started + plan.timeout.unwrap_or(WAIT), span: Span::current() };
    let work = work.within(frame);
    match (stale, mode) {
        (Some((entry, claim)), _) => {
            call.refresh_in_background(claim, work);
            Outcome::Value(entry)
        }
        // Waiting for oneself would never end.
        (None, Mode::Normal | Mode::Refresh) if again => call.load_alone(work).await,
        (None, Mode::Normal) => join_or_lead(&call, work).await,
        (None, Mode::Refresh) => {
            let seen = call.cache.seen(&call.key, plan);
            let leader = call.cache.local().flights.supersede(&call.key, seen);
            call.fly(leader, work, Goal::Anew).await
        }
        (None, Mode::Bypass) => call.load_alone(work).await,
    }
}

/// One load per key in this process.
async fn join_or_lead(call: &Caller<'_>, work: Work) -> Outcome {
    let mut joined = false;
    loop {
        let seen = call.cache.seen(&call.key, call.plan);
        let joiner = match call.cache.local().flights.claim(&call.key, &seen) {
            Claim::Lead(leader) => return call.fly(leader, work, Goal::Value).await,
            Claim::Join(joiner) => joiner,
        };
        if !std::mem::replace(&mut joined, true) {
            count(&call.key.function.counters.joined);
        }
        match call.wait(joiner).await {
            Some(Joined::Outcome(outcome)) if call.is_for(&outcome) => return outcome,
            Some(Joined::Retry) => {}
            // The error is not to be had, or the wait is over: load now, and not one after the other.
            Some(Joined::Outcome(_)) => return lead_or_alone(call, work).await,
            None => return call.load_alone(work).await,
        }
    }
}

async fn lead_or_alone(call: &Caller<'_>, work: Work) -> Outcome {
    let seen = call.cache.seen(&call.key, call.plan);
    match call.cache.local().flights.claim(&call.key, &seen) {
        Claim::Lead(leader) => call.fly(leader, work, Goal::Value).await,
        Claim::Join(_) => call.load_alone(work).await,
    }
}

/// Who asks, and until when.
struct Caller<'a> {
    cache: HybridCache,
    key: Arc<Key>,
    plan: &'a Plan,
    deadline: Instant,
    span: Span,
}

impl Caller<'_> {
    /// Runs a flight in its own task, so that this caller may go away, and waits for it.
    async fn fly(&self, leader: Leader, work: Work, goal: Goal) -> Outcome {
        // Between the look into memory and the claim, another flight may have landed.
        if let (Goal::Value, Some(entry)) = (&goal, self.cache.in_memory(&self.key)) {
            let outcome = Outcome::Value(entry);
            if self.is_for(&outcome) {
                self.key.function.counters.hits_memory.count();
                leader.finish(|_| outcome.clone());
                return outcome;
            }
        }
        let caller = leader.caller();
        tokio::spawn(lead(self.errand(leader, goal), work));
        match caller.await {
            Joined::Outcome(outcome) => outcome,
            Joined::Retry => Outcome::Abandoned,
        }
    }

    /// Waits until the caller's own deadline; a little longer where the load will have run into its own by then: it began
    /// a moment after those who joined it at once, who must not all load for themselves just before it ends.
    async fn wait(&self, mut joiner: Joiner) -> Option<Joined> {
        if let Ok(joined) = timeout_at(self.deadline, &mut joiner).await {
            return Some(joined);
        }
        let soon = self.deadline + self.plan.timeout? / 10;
        let ends_by = joiner.ends_by().filter(|ends_by| *ends_by <= soon)?;
        timeout_at(ends_by + SLACK, joiner).await.ok()
    }

    async fn load_alone(&self, work: Work) -> Outcome {
        let leader = self.cache.local().flights.solo(&self.key);
        self.fly(leader, work, Goal::Alone).await
    }

    /// Starts a refresh unless somebody loads the key anyway.
    fn refresh_in_background(&self, claim: RefreshClaim, work: Work) {
        let seen = self.cache.seen(&self.key, self.plan);
        match self.cache.local().flights.claim(&self.key, &seen) {
            Claim::Lead(leader) => {
                count(&self.key.function.counters.refreshes);
                tokio::spawn(lead(self.errand(leader, Goal::Refresh(claim)), work));
            }
            Claim::Join(_) => claim.done(),
        }
    }

    fn errand(&self, leader: Leader, goal: Goal) -> Errand {
        let (cache, plan, span) = (self.cache.clone(), self.plan.clone(), self.span.clone());
        Errand { cache, plan, leader, goal, deadline: self.deadline, span }
    }

    /// Whether an outcome has this caller's types, and can be had by one who only joined. Two functions that share an
    /// explicit name could differ.
    fn is_for(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Value(entry) => Any::type_id(&entry.value) == self.plan.value.value_type(),
            Outcome::Failed(failure) => failure.is_shared() && failure.error_type() == self.plan.error_type,
            Outcome::TimedOut => self.plan.timeout.is_some(),
            Outcome::Panicked(_) | Outcome::Abandoned => true,
        }
    }
}
