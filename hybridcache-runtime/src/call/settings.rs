//! What an expansion says of a function beside its key: built on a miss only.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::call::shape::{CanTimeOut, ResultShape, Shape, SharedShape, SharedValue};
use crate::entry::Entry;
use crate::entry::lifetimes::{Lifetimes, bounded};
use crate::entry::value_type::{AnyValue, Typed, ValueType};
use crate::key::KeyBuf;

/// The settings of one call, typed. There is nothing in them to drop, so an expansion needs no clean-up between the calls by
/// which it makes them: that is half of what it costs to compile.
pub struct Settings<S: Shape> {
    value: &'static ValueType,
    lifetimes: Lifetimes,
    timeout: Option<Timeout<S>>,
}

/// The deadline of a load, and what a caller gets who has waited until then.
struct Timeout<S: Shape> {
    after: Duration,
    timed_out: fn() -> S::Return,
}

/// The settings with what only some functions have: tags and a weight.
#[derive(Debug)]
pub struct FullSettings<S: Shape> {
    pub(crate) plan: Plan,
    pub(crate) timed_out: Option<fn() -> S::Return>,
}

type Weigh = Arc<dyn Fn(&AnyValue) -> usize + Send + Sync>;

/// Says whether an entry that was found will do for one call.
pub(crate) type Judge = Arc<dyn Fn(&Arc<Entry>) -> bool + Send + Sync>;

/// The same for the engine, which knows no types.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) lifetimes: Lifetimes,
    pub(crate) timeout: Option<Duration>,
    pub(crate) tags: Vec<KeyBuf>,
    pub(crate) value: &'static ValueType,
    pub(crate) error_type: TypeId,
    /// The times of one value, where they are in the value.
    pub(crate) times: Option<fn(&AnyValue) -> Lifetimes>,
    /// What it refuses is loaded again; without it, all will do that is fresh or stale.
    pub(crate) judge: Option<Judge>,
    pub(crate) weigh: Option<Weigh>,
    /// For how long the shared tier keeps a value to begin with, where that is not for as long as it lives.
    pub(crate) trial: Option<fn(&AnyValue) -> Option<Duration>>,
}

impl Plan {
    /// How long the shared tier is told to keep a value.
    pub(crate) fn shared_for(&self, value: &AnyValue) -> Duration {
        let ttl = Duration::from_millis(self.lifetimes_of(value).ttl());
        self.trial.and_then(|trial| trial(value)).map_or(ttl, |trial| trial.min(ttl))
    }

    pub(crate) fn lifetimes_of(&self, value: &AnyValue) -> Lifetimes {
        self.times.map_or(self.lifetimes, |times| times(value))
    }

    pub(crate) fn accepts(&self, entry: &Arc<Entry>) -> bool {
        self.judge.as_ref().is_none_or(|judge| judge(entry))
    }

    /// Bytes of a value: as the user weighs it, else its encoded length, else its size on the stack.
    pub(crate) fn weigh(&self, value: &AnyValue, encoded: Option<usize>) -> usize {
        match &self.weigh {
            Some(weigh) => weigh(value),
            None => encoded.unwrap_or(self.value.size()),
        }
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("lifetimes", &self.lifetimes)
            .field("timeout", &self.timeout)
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}

macro_rules! copy {
    ($($settings:ident),+) => {$(
        impl<S: Shape> Clone for $settings<S> {
            fn clone(&self) -> Self {
                *self
            }
        }
        impl<S: Shape> Copy for $settings<S> {}
    )+};
}
copy!(Settings, Timeout);

impl<S: Shape> fmt::Debug for Settings<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("lifetimes", &self.lifetimes).finish_non_exhaustive()
    }
}

/// `Result<Option<T>, E>`: MessagePack would give `Some(None)` and `Some(())` back as `None`.
impl<T, E, M> Settings<ResultShape<Option<T>, E, M>>
where
    ResultShape<Option<T>, E, M>: Shape,
{
    /// Keeps the `Option` out of the payload.
    pub fn __hc_exact(self) -> Self
    where
        T: SharedValue,
    {
        Self { value: &Typed::<Option<T>>::SHARED_OPTION, ..self }
    }
}

/// All other return types, to which the inherent method of the same name does not apply.
pub trait Exact: Sized {
    /// Nothing to be done.
    fn __hc_exact(self) -> Self {
        self
    }
}

impl<S: Shape> Exact for Settings<S> {}

impl<S: Shape> Settings<S> {
    /// Both tiers.
    pub fn shared(_: Option<S>, lifetimes: Lifetimes) -> Self
    where
        S: SharedShape,
    {
        Self { value: S::shared_type(), lifetimes, timeout: None }
    }

    /// `tier = memory`
    pub fn memory_only(_: Option<S>, lifetimes: Lifetimes) -> Self {
        Self { value: S::memory_type(), lifetimes, timeout: None }
    }

    /// The deadline of a load, and of waiting for somebody else's.
    pub fn timeout(self, timeout: Duration) -> Self
    where
        S: CanTimeOut,
    {
        Self { timeout: Some(Timeout { after: bounded(timeout), timed_out: S::timed_out }), ..self }
    }

    /// A tag.
    pub fn tag(self, tag: KeyBuf) -> FullSettings<S> {
        FullSettings::from(self).tag(tag)
    }

    /// How many bytes a value takes in memory.
    pub fn weigh(self, weigh: impl Fn(&S::Value) -> usize + Send + Sync + 'static) -> FullSettings<S> {
        FullSettings::from(self).weigh(weigh)
    }
}

impl<S: Shape> From<Settings<S>> for FullSettings<S> {
    fn from(Settings { value, lifetimes, timeout }: Settings<S>) -> Self {
        let (error_type, tags) = (TypeId::of::<S::Error>(), Vec::new());
        let (after, timed_out) = timeout.map(|Timeout { after, timed_out }| (after, timed_out)).unzip();
        let (times, judge, weigh, trial) = (None, None, None, None);
        let plan = Plan { lifetimes, timeout: after, tags, value, error_type, times, judge, weigh, trial };
        Self { plan, timed_out }
    }
}

impl<S: Shape> FullSettings<S> {
    /// One more tag.
    pub fn tag(mut self, tag: KeyBuf) -> Self {
        self.plan.tags.push(tag);
        self
    }

    /// How many bytes a value takes in memory.
    pub fn weigh(mut self, weigh: impl Fn(&S::Value) -> usize + Send + Sync + 'static) -> Self {
        let size = size_of::<S::Value>();
        self.plan.weigh = Some(Arc::new(move |value: &AnyValue| value.downcast_ref().map_or(size, &weigh)));
        self
    }
}
