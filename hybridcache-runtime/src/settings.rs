//! What an expansion says of a function beside its key: built on a miss only.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::entry::Entry;
use crate::key::KeyBuf;
use crate::policy::{Lifetimes, bounded};
use crate::shape::{CanTimeOut, ResultShape, Shape, SharedShape, SharedValue};
use crate::value::{AnyValue, Typed, ValueType};

/// The settings of one call, typed.
#[derive(Debug)]
pub struct Settings<S: Shape> {
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

/// `Result<Option<T>, E>`: MessagePack would give `Some(None)` and `Some(())` back as `None`.
impl<T, E, M> Settings<ResultShape<Option<T>, E, M>>
where
    ResultShape<Option<T>, E, M>: Shape,
{
    /// Keeps the `Option` out of the payload.
    pub fn exact(mut self) -> Self
    where
        T: SharedValue,
    {
        self.plan.value = &Typed::<Option<T>>::SHARED_OPTION;
        self
    }
}

/// All other return types, to which the inherent method of the same name does not apply.
pub trait Exact: Sized {
    /// Nothing to be done.
    fn exact(self) -> Self {
        self
    }
}

impl<S: Shape> Exact for Settings<S> {}

impl<S: Shape> Settings<S> {
    /// Both tiers.
    pub fn shared(_: S) -> Self
    where
        S: SharedShape,
    {
        Self::new(S::shared_type())
    }

    /// `tier = memory`
    pub fn memory_only(_: S) -> Self {
        Self::new(S::memory_type())
    }

    fn new(value: &'static ValueType) -> Self {
        let lifetimes = Lifetimes::from_millis(1, 1);
        let error_type = TypeId::of::<S::Error>();
        let (times, judge, weigh, trial) = (None, None, None, None);
        let plan = Plan { lifetimes, timeout: None, tags: Vec::new(), value, error_type, times, judge, weigh, trial };
        Self { plan, timed_out: None }
    }

    /// `fresh_for` and `ttl`
    pub fn lifetimes(mut self, lifetimes: Lifetimes) -> Self {
        self.plan.lifetimes = lifetimes;
        self
    }

    /// The deadline of a load, and of waiting for somebody else's.
    pub fn timeout(mut self, timeout: Duration) -> Self
    where
        S: CanTimeOut,
    {
        self.plan.timeout = Some(bounded(timeout));
        self.timed_out = Some(S::timed_out);
        self
    }

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
