//! The path of one call, from the attribute's expansion to its value. Read it top to bottom:
//!
//! 1. [`begin`] looks in memory. A fresh value is returned at once, and so is a stale one that another call refreshes.
//! 2. [`SlowPath::join`] decides what the call is: a stale hit, a bypass, a reload, or a miss. A miss joins the key's
//!    flight and waits, or it becomes a [`MustLoad`]: this call has to load. It is returned to the expansion, which
//!    clones the arguments only now.
//! 3. [`MustLoad::load`] starts the flight ([`start`]) and waits for its outcome, like every other caller.
//!
//! The engine is compiled once: `join` erases the types, and `answer` restores them.

pub(crate) mod args;
pub(crate) mod cached;
pub(crate) mod entry;
pub(crate) mod evict;
pub(crate) mod no_cache;
pub(crate) mod settings;
pub(crate) mod shape;

use std::fmt;
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use pin_project_lite::pin_project;

use crate::cache::HybridCache;
use crate::call::settings::FullSettings;
use crate::call::shape::{Returned, Shape, typed_error};
use crate::engine::explain::{Explained, Source};
use crate::engine::job::{Lead, LoadJob};
use crate::engine::join::{Decision, StaleHit};
use crate::engine::run::start;
use crate::engine::scope::{self, Mode};
use crate::engine::task::{Loaded, Work};
use crate::entry::{Entry, RefreshClaim, State};
use crate::flight::outcome::{Outcome, Role};
use crate::function::Instance;
use crate::function::call_key::{Key, Lookup};
use crate::key::KeyBuf;
use crate::memory::MemoryTier;
use crate::primitives::clock::Millis;

/// The result of the first look into memory.
#[derive(Debug)]
pub enum Begin<S: Shape> {
    /// The call is answered.
    Hit(S::Return),
    /// Memory has nothing for this call, or it has a stale value whose refresh is due.
    SlowPath(SlowPath<S>),
}

/// A call that memory alone cannot answer.
#[derive(Debug)]
pub struct SlowPath<S: Shape> {
    cache: HybridCache,
    key: Arc<Key>,
    mode: Mode,
    stale: Option<StaleHit>,
    explained: Option<Explained>,
    shape: PhantomData<fn() -> S>,
}

/// A call that has to load: it leads the key's flight.
pub struct MustLoad<S: Shape> {
    lead: Box<Lead>,
    timed_out: Option<fn() -> S::Return>,
}

/// Looks in memory. A hit costs nothing else.
#[inline]
pub fn begin<S: Shape>(cache: &HybridCache, instance: Instance<'_>, key: &KeyBuf, _: Option<S>) -> Begin<S> {
    let lookup = cache.lookup(&instance, key);
    let mode = scope::mode();
    if mode == Mode::Normal
        && let Some(value) = hit(cache, &lookup)
    {
        return Begin::Hit(S::give(value));
    }
    begin_slow(cache, &lookup, mode)
}

/// A copy of the value in memory, unless this call would have to refresh it.
#[inline]
fn hit<V: Clone + 'static>(cache: &HybridCache, lookup: &Lookup<'_>) -> Option<V> {
    let local = cache.local();
    local.memory.look(lookup, |entry| {
        let value = entry.value.downcast_ref::<V>()?;
        let now = local.clock.now();
        if entry.meta.is_fresh(now, local.trust.for_hits()) {
            MemoryTier::count_hit(&entry.meta);
        } else if !needs_no_refresh(cache, entry, now) {
            return None;
        }
        Some(value.clone())
    })?
}

/// Whether the entry is stale, or in the last part of its freshness, and this call need not refresh it: another call
/// does, the last refresh failed a short while ago, or chance decides. Then it is a hit, which is counted here.
#[cold]
#[inline(never)]
fn needs_no_refresh(cache: &HybridCache, entry: &Arc<Entry>, now: Millis) -> bool {
    let is_due = RefreshClaim::is_due(entry, now);
    let state = cache.state(entry, now);
    let is_hit = match state {
        State::Stale => !is_due && !waits(entry),
        State::Fresh => !(is_due && entry.meta.starts_refresh(now)),
        State::Unverified | State::Gone => false,
    };
    if is_hit {
        cache.hit_in_memory(entry, state == State::Stale);
    }
    is_hit
}

/// Whether the calls of the function wait for the refresh of a stale value, and one runs.
fn waits(entry: &Arc<Entry>) -> bool {
    entry.meta.key.function.waits_for_refresh.load(Relaxed) && RefreshClaim::is_taken(entry)
}

#[cold]
#[inline(never)]
fn begin_slow<S: Shape>(cache: &HybridCache, lookup: &Lookup<'_>, mode: Mode) -> Begin<S> {
    let key = cache.key(lookup);
    let (mut stale, explained) = (None, Explained::begin(&key));
    if matches!(mode, Mode::Normal | Mode::Explained)
        && let Some(entry) = cache.in_memory(&key).filter(|entry| entry.value.is::<S::Value>())
    {
        let now = cache.clock().now();
        let state = cache.state(&entry, now);
        cache.hit_in_memory(&entry, state == State::Stale);
        if let Some(explained) = &explained {
            explained.source(Source::Memory);
        }
        // Where a draw decides about a fresh entry, `hit` has drawn.
        if state == State::Stale || (state == State::Fresh && entry.meta.is_in_last_part(now)) {
            stale =
                RefreshClaim::take(&entry, cache.clock(), now).map(|claim| StaleHit::Refreshes(entry.clone(), claim));
        }
        if stale.is_none() && state == State::Stale && waits(&entry) {
            stale = Some(StaleHit::Waits(entry.clone()));
        }
        // A stale hit that waits for its refresh has no answer yet.
        let is_answered = stale.is_none() || state == State::Fresh || !key.function.waits_for_refresh.load(Relaxed);
        explained.iter().filter(|_| is_answered).for_each(|explained| explained.ended(cache, Some(&entry)));
        // The entry is fresh by now, or another call has taken the claim since `hit` looked.
        if stale.is_none()
            && let Some(value) = entry.value.downcast_ref::<S::Value>()
        {
            return Begin::Hit(S::give(value.clone()));
        }
    }
    Begin::SlowPath(SlowPath { cache: cache.clone(), key, mode, stale, explained, shape: PhantomData })
}

impl<S: Shape> SlowPath<S> {
    /// Waits for another call's load, unless this call has to load.
    pub fn join<I: Into<FullSettings<S>>>(
        self,
        settings: I,
    ) -> impl Future<Output = Result<S::Return, MustLoad<S>>> + Send + use<S, I> {
        let FullSettings { plan, timed_out } = settings.into();
        let Self { cache, key, mode, stale, explained, .. } = self;
        let next = LoadJob { explained, ..LoadJob::new(cache, key, plan) }.start(mode, stale);
        next.decided().map(move |decision| typed(decision, timed_out))
    }
}

impl<S: Shape> MustLoad<S> {
    /// Starts the load and waits for its outcome; where there is a stale value to return at once, the load runs in the
    /// background. The load itself runs in a task of its own, so that it goes on when this caller is dropped.
    ///
    /// Only this is compiled for each function: from here on the load is behind a pointer.
    pub fn load<L>(self, load: L) -> impl Future<Output = S::Return> + Send + use<S, L>
    where
        L: Future<Output = S::Return> + Send + 'static,
    {
        self.begin(Work::new(Erased::<S, L> { load, shape: PhantomData }))
    }

    fn begin(self, work: Work) -> impl Future<Output = S::Return> + Send + use<S> {
        let Self { lead, timed_out } = self;
        start(lead, work).map(move |outcome| answer::<S>(outcome, timed_out, Role::Starter))
    }
}

pin_project! {
    /// A load without the types of its value and error. (An `async` block around it would be compiled for each
    /// function.)
    struct Erased<S, L> {
        #[pin]
        load: L,
        shape: PhantomData<fn() -> S>,
    }
}

impl<S: Shape, L: Future<Output = S::Return>> Future for Erased<S, L> {
    type Output = Loaded;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Loaded> {
        erased::<S>(self.project().load.poll(context))
    }
}

fn typed<S: Shape>(decision: Decision, timed_out: Option<fn() -> S::Return>) -> Result<S::Return, MustLoad<S>> {
    match decision {
        Decision::Answered(outcome) => Ok(answer::<S>(outcome, timed_out, Role::Joiner)),
        Decision::Load(lead) => Err(MustLoad { lead, timed_out }),
    }
}

fn erased<S: Shape>(returned: Poll<S::Return>) -> Poll<Loaded> {
    returned.map(|returned| match S::split(returned) {
        Returned::Value(value) => Loaded::Value(Box::new(value)),
        Returned::NotStored(value) => Loaded::NotStored(Box::new(value)),
        Returned::Error(error) => Loaded::Error(Box::new(|others| S::failure(error, others))),
    })
}

/// The outcome in the function's own types. Outcomes that [`LoadJob::start`] rules out end as a panic of the load does.
fn answer<S: Shape>(outcome: Outcome, timed_out: Option<fn() -> S::Return>, role: Role) -> S::Return {
    let ended = |why: &str| resume_unwind(Box::new(why.to_owned()));
    match outcome {
        Outcome::Value(entry) => match entry.value.downcast_ref::<S::Value>() {
            Some(value) => S::give(value.clone()),
            None => ended("the cached value is of another type"),
        },
        Outcome::Failed(failure) => match failure.take(role).and_then(typed_error::<S>) {
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

impl<S: Shape> fmt::Debug for MustLoad<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MustLoad").finish_non_exhaustive()
    }
}
