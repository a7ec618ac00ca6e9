//! The settings of a function that are not part of its key. They are built on a miss only.

use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use crate::call::shape::{
    CacheValue, CanTimeOut, CloneError, CodedShape, HasNone, ResultShape, Shape, SharedShape, SharedValue,
};
use crate::entry::freshness::{Freshness, NoneTtl, RefreshAhead};
use crate::entry::lifetimes::{Lifetimes, Part, rounded};
use crate::entry::plan::{Plan, weight_by};
use crate::entry::value_type::{Typed, ValueType};
use crate::key::KeyBuf;
use crate::primitives::clock::bounded;
use crate::shared::wire::codec::{Codec, MessagePack};

/// The settings of one call, typed. They have no destructor, so an expansion needs no clean-up code between the calls
/// that make them: that clean-up would be half of what the calls cost to compile.
pub struct Settings<S: Shape> {
    value: &'static ValueType,
    lifetimes: Lifetimes,
    freshness: Freshness,
    timeout: Option<Timeout<S>>,
}

/// The timeout of a load, and what a caller returns when it expires.
struct Timeout<S: Shape> {
    after: Duration,
    timed_out: fn() -> S::Return,
}

/// The settings with tags and a weight, which only some functions have.
#[derive(Debug)]
pub struct FullSettings<S: Shape> {
    pub(crate) plan: Plan,
    pub(crate) timed_out: Option<fn() -> S::Return>,
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
    /// Encodes the `Option` outside of the payload.
    pub fn __hc_exact(self) -> Self
    where
        T: SharedValue,
    {
        Self { value: &const { Typed::<Option<T>>::coded_option::<MessagePack>() }, ..self }
    }
}

/// Names a codec without holding a value of it.
pub type CodecMarker<C> = PhantomData<fn() -> C>;

/// `codec = ..` of a function that returns `Result<Option<T>, E>`: the codec is asked for `T`.
impl<T, E, M> Settings<ResultShape<Option<T>, E, M>>
where
    ResultShape<Option<T>, E, M>: Shape,
{
    /// Stores values in both tiers, with this codec.
    pub fn __hc_coded<C: Codec<T>>(self, _: CodecMarker<C>) -> Self
    where
        T: CacheValue,
    {
        Self { value: &const { Typed::<Option<T>>::coded_option::<C>() }, ..self }
    }
}

/// `codec = ..` of all other return types; the inherent method of the same name takes precedence where it applies.
pub trait Coded<S: Shape>: Sized {
    /// Stores values in both tiers, with this codec.
    fn __hc_coded<C>(self, _: CodecMarker<C>) -> Self
    where
        S: CodedShape<C>;
}

impl<S: Shape> Coded<S> for Settings<S> {
    fn __hc_coded<C>(self, _: CodecMarker<C>) -> Self
    where
        S: CodedShape<C>,
    {
        Self { value: S::coded_type(), ..self }
    }
}

/// All other return types; the inherent method of the same name takes precedence where it applies.
pub trait Exact: Sized {
    /// Changes nothing.
    fn __hc_exact(self) -> Self {
        self
    }
}

impl<S: Shape> Exact for Settings<S> {}

impl<S: Shape> Settings<S> {
    /// Stores values in both tiers.
    pub fn shared(_: Option<S>, lifetimes: Lifetimes) -> Self
    where
        S: SharedShape,
    {
        Self::new(S::shared_type(), lifetimes)
    }

    /// `tier = memory`
    pub fn memory_only(_: Option<S>, lifetimes: Lifetimes) -> Self {
        Self::new(S::memory_type(), lifetimes)
    }

    pub(crate) fn new(value: &'static ValueType, lifetimes: Lifetimes) -> Self {
        Self { value, lifetimes, freshness: Freshness::default(), timeout: None }
    }

    /// The timeout of a load, and of waiting for another caller's load.
    pub fn timeout(self, timeout: Duration) -> Self
    where
        S: CanTimeOut,
    {
        Self { timeout: Some(Timeout { after: bounded(timeout), timed_out: S::timed_out }), ..self }
    }

    /// The lifetime of absent values; zero: they are not stored.
    pub fn none_ttl(mut self, none_ttl: Duration) -> Self
    where
        S: HasNone,
    {
        self.freshness.none = Some(NoneTtl { is_none: S::is_none, millis: rounded(none_ttl) });
        self
    }

    /// By how much lifetimes are shortened at random.
    pub fn jitter(mut self, jitter: Part) -> Self {
        self.freshness.jitter = Some(jitter);
        self
    }

    /// Values of quicker loads are not stored.
    pub fn min_cost(mut self, min_cost: Duration) -> Self {
        self.freshness.min_cost = min_cost;
        self
    }

    /// When a hit on a fresh entry starts its refresh.
    pub fn refresh_ahead(mut self, ahead: RefreshAhead) -> Self {
        self.freshness.refresh_ahead = Some(ahead);
        self
    }

    /// How long a stale hit waits for its refresh. Zero: not at all.
    pub fn soft_timeout(mut self, soft_timeout: Duration) -> Self {
        self.freshness.soft_timeout = Some(bounded(soft_timeout)).filter(|soft_timeout| !soft_timeout.is_zero());
        self
    }

    /// How long an error is given again. Zero: not at all.
    pub fn err_ttl(mut self, err_ttl: Duration) -> Self
    where
        S: CloneError,
    {
        self.freshness.err_ttl = Some(rounded(err_ttl)).filter(|millis| *millis > 0);
        self
    }

    /// Adds a tag.
    pub fn tag(self, tag: KeyBuf) -> FullSettings<S> {
        FullSettings::from(self).tag(tag)
    }

    /// How many bytes a value takes in memory.
    pub fn weigh(self, weigh: impl Fn(&S::Value) -> usize + Send + Sync + 'static) -> FullSettings<S> {
        FullSettings::from(self).weigh(weigh)
    }

    /// `max_value = 64kb`
    pub fn max_value(self, bytes: usize) -> FullSettings<S> {
        FullSettings::from(self).max_value(bytes)
    }

    /// `compress = false`
    pub fn uncompressed(self) -> FullSettings<S> {
        FullSettings::from(self).uncompressed()
    }
}

impl<S: Shape> From<Settings<S>> for FullSettings<S> {
    fn from(Settings { value, lifetimes, freshness, timeout }: Settings<S>) -> Self {
        let (after, timed_out) = timeout.map(|Timeout { after, timed_out }| (after, timed_out)).unzip();
        let plan = Plan { freshness, timeout: after, ..Plan::new(value, lifetimes, TypeId::of::<S::Error>()) };
        Self { plan, timed_out }
    }
}

impl<S: Shape> FullSettings<S> {
    /// Adds a tag.
    pub fn tag(mut self, tag: KeyBuf) -> Self {
        self.plan.tags.push(tag);
        self
    }

    /// How many bytes a value takes in memory.
    pub fn weigh(mut self, weigh: impl Fn(&S::Value) -> usize + Send + Sync + 'static) -> Self {
        self.plan.weigh = Some(weight_by(weigh));
        self
    }

    /// Longer values stay in memory, where the cache's own limit admits them.
    pub fn max_value(mut self, bytes: usize) -> Self {
        self.plan.max_value = Some(bytes);
        self
    }

    /// Values are stored as they are encoded, also where the cache compresses.
    pub fn uncompressed(mut self) -> Self {
        self.plan.compresses = false;
        self
    }
}
