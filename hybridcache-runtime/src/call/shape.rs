//! The return type of a cached function: `Result<T, E>`, `Option<T>` or a plain `T`, distinguished by type.
//!
//! A macro sees only tokens, and `anyhow::Result<T>` or `type Fallible<T> = ..` do not show which type they are. So the
//! expansion asks the compiler: method calls on a [`Probe`] resolve to the most specific candidate (autoref
//! specialization, after David Tolnay's "Autoref-based stable specialization").

use std::any::Any;
use std::convert::Infallible;
use std::error::Error;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::no_cache::{NoCache, NotStored};
use crate::entry::value_type::{AnyValue, Typed, ValueType};
use crate::error::{ErrorText, LoadError};
use crate::flight::outcome::Failure;
use crate::primitives::sync::LockExt as _;
use crate::shared::wire::codec::{Codec, MessagePack};

/// A return type taken apart.
pub trait Shape: Copy + Send + Sync + 'static {
    /// The declared return type.
    type Return: 'static;
    /// The type of the value, which is stored.
    type Value: Clone + Send + Sync + 'static;
    /// The type of the error, which is not stored.
    type Error: Send + 'static;

    /// Makes the return value from a stored value.
    fn give(value: Self::Value) -> Self::Return;
    /// Makes the return value from the error of a load.
    fn fail(error: Self::Error) -> Self::Return;
    /// Takes a return value apart.
    fn split(returned: Self::Return) -> Returned<Self::Value, Self::Error>;
    /// The error for all callers of the load. `others`: other callers than the one that started the load wait for it.
    fn failure(error: Self::Error, others: bool) -> Failure;
    /// The value's type, without a codec: for the memory tier only.
    fn memory_type() -> &'static ValueType;
}

/// A return value, taken apart.
#[derive(Debug)]
pub enum Returned<V, E> {
    /// A value to store.
    Value(V),
    /// A value that the callers get and that is not stored.
    NotStored(V),
    /// A failed load.
    Error(E),
}

/// A [`Shape`] whose value can go to the shared tier.
pub trait SharedShape: Shape {
    /// The value's type with its codec.
    fn shared_type() -> &'static ValueType;
}

/// A [`Shape`] whose value the codec `C` can encode.
pub trait CodedShape<C>: Shape {
    /// The value's type with this codec.
    fn coded_type() -> &'static ValueType;
}

/// A [`Shape`] that can report that the load took too long.
#[diagnostic::on_unimplemented(
    message = "a cached function with a `timeout` must be able to fail",
    label = "this function has no error to return when the load takes too long",
    note = "let it return `Result<_, E>` where `E: From<hybridcache::LoadError>`, or leave out `timeout`"
)]
pub trait CanTimeOut: Shape {
    /// The return value of a caller whose load has timed out.
    fn timed_out() -> Self::Return;
}

/// A [`Shape`] whose value may be absent.
#[diagnostic::on_unimplemented(
    message = "`none_ttl` needs a function that returns an `Option`",
    label = "this function has no `None` to store",
    note = "let it return `Option<_>` or `Result<Option<_>, _>`, or leave out `none_ttl`"
)]
pub trait HasNone: Shape {
    /// Whether the value is `None`.
    fn is_none(value: &AnyValue) -> bool;
}

/// A [`Shape`] whose error reaches each caller as it is.
#[diagnostic::on_unimplemented(
    message = "`err_ttl` needs a function that returns a `Result` whose error is `Clone`",
    label = "this function has no error that can be given again",
    note = "derive or implement `Clone` for the error (an `Arc` around what is not `Clone` in it), or leave out `err_ttl`"
)]
pub trait CloneError: Shape {}
impl<R: 'static> CloneError for Misfit<R> {}
impl<T: CacheValue, E: Clone + ErrorValue> CloneError for ResultShape<T, E, ByClone> {}
impl<T: CacheValue> CloneError for ResultShape<T, NoCache<T>, ByType> {}

/// The bounds of every cached value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cached: it must be `Clone + Send + Sync + 'static`",
    label = "this value cannot be cached",
    note = "derive or implement `Clone`, or return `Arc<{Self}>`: then a hit copies nothing",
    note = "if the type, or one in it, is of another crate, such as a database's row: return its data as a struct of your own"
)]
pub trait CacheValue: Clone + Send + Sync + 'static {}
#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> CacheValue for T {}

/// The bounds of a value that goes to the shared tier.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot go to Redis: it must be `Serialize + DeserializeOwned`",
    label = "this value cannot be encoded",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it, or keep it in memory with `tier = memory`",
    note = "if the type, or one in it, is of another crate, such as a framework's `Json<T>` or a database's row: return the data \
            itself (`T`, or a struct of your own), and wrap it where the function is called"
)]
pub trait SharedValue: CacheValue + Serialize + DeserializeOwned {}
#[diagnostic::do_not_recommend]
impl<T: CacheValue + Serialize + DeserializeOwned> SharedValue for T {}

/// The bounds of every error type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a cached function: it must be `Send + 'static`",
    label = "a load runs in its own task and cannot send this error to its caller",
    note = "write `Box<dyn Error + Send + Sync>` for `Box<dyn Error>`, `Arc<T>` for `Rc<T>`, or use an error type of your own"
)]
pub trait ErrorValue: Send + 'static {}
#[diagnostic::do_not_recommend]
impl<E: Send + 'static> ErrorValue for E {}

/// The bound of an error type where loads can time out.
#[diagnostic::on_unimplemented(
    message = "`{Self}` must implement `From<hybridcache::LoadError>`, because the function has a `timeout`",
    label = "`?` could not make this error of a load that timed out",
    note = "with `thiserror`, add a variant `Load(#[from] hybridcache::LoadError)`; or leave out `timeout`"
)]
pub trait FromLoadError: From<LoadError> {}
#[diagnostic::do_not_recommend]
impl<E: From<LoadError>> FromLoadError for E {}

/// A shape of a function that is declared to return `R`, before it is known whether its value can be cached.
#[derive(Debug)]
pub struct Unchecked<R, S>(S, PhantomData<fn() -> R>);

impl<R, S> Unchecked<R, S> {
    /// Probes `shape`.
    pub fn new(shape: S) -> Self {
        Self(shape, PhantomData)
    }
}

/// The upper rung: the value can be cached.
pub trait FitRung<S> {
    /// The shape as it is.
    fn __hc_checked(&self) -> S;
}

impl<R, S: Shape> FitRung<S> for &Unchecked<R, S> {
    fn __hc_checked(&self) -> S {
        self.0
    }
}

/// The lower rung. It fits every value, and its `where` clause then reports what is missing. It continues with a
/// stand-in that fulfils all bounds, so that there is one compile error and not one for each use of the shape.
pub trait MisfitRung<R> {
    /// The shape that lacks a bound.
    type Shape;

    /// A stand-in: no program that calls this compiles.
    fn __hc_checked(&self) -> Misfit<R>
    where
        Self::Shape: Shape;
}

impl<R, S> MisfitRung<R> for Unchecked<R, S> {
    type Shape = S;

    fn __hc_checked(&self) -> Misfit<R>
    where
        S: Shape,
    {
        Misfit(PhantomData)
    }
}

/// Stands in for the shape of a value that cannot be cached.
#[derive(Debug)]
pub struct Misfit<R>(PhantomData<fn() -> R>);

/// Finds out what a declared return type is.
#[derive(Debug)]
pub struct Probe<R>(PhantomData<fn() -> R>);

impl<R> Probe<R> {
    /// Probes `R`.
    pub const NEW: Self = Self(PhantomData);
}

/// A return value for code that never runs: `if false { return never::<R>() }` fixes the type of an `async` block.
pub fn never<R>() -> R {
    unreachable!("nobody calls it")
}

impl<T, E> Probe<Result<T, E>> {
    /// A `Result`: the next rungs find out what its error can do.
    pub fn __hc_returns(self) -> ResultProbe<T, E> {
        ResultProbe(PhantomData)
    }
}

impl<T> Probe<Option<T>> {
    /// An `Option`.
    pub fn __hc_returns(self) -> OptionShape<T> {
        OptionShape(PhantomData)
    }
}

/// Every type that is neither, including a bare type parameter.
pub trait PlainReturns<R> {
    /// A plain value.
    fn __hc_returns(self) -> PlainShape<R>;
}

impl<R> PlainReturns<R> for Probe<R> {
    fn __hc_returns(self) -> PlainShape<R> {
        PlainShape(PhantomData)
    }
}

/// Names types without holding a value of them.
type Marker<T> = PhantomData<fn() -> T>;

/// `-> T`
#[derive(Debug)]
pub struct PlainShape<R>(PhantomData<fn() -> R>);

/// `-> Option<T>`
#[derive(Debug)]
pub struct OptionShape<T>(PhantomData<fn() -> T>);

/// `-> Result<T, E>`; `M` is the way in which callers share an error.
#[derive(Debug)]
pub struct ResultShape<T, E, M>(Marker<(T, E, M)>);

/// `-> Result<T, E>`, before it is known how callers share an error.
#[derive(Debug)]
pub struct ResultProbe<T, E>(PhantomData<fn() -> (T, E)>);

macro_rules! copy {
    ($($shape:ident<$($parameter:ident),+>),+) => {$(
        impl<$($parameter),+> Clone for $shape<$($parameter),+> {
            fn clone(&self) -> Self {
                *self
            }
        }
        impl<$($parameter),+> Copy for $shape<$($parameter),+> {}
    )+};
}
copy!(Misfit<R>, PlainShape<R>, OptionShape<T>, ResultShape<T, E, M>);

impl<R> PlainShape<R> {
    /// Returns itself: there are no further rungs.
    pub fn __hc_shape(&self) -> Self {
        *self
    }
}

impl<T> OptionShape<T> {
    /// Returns itself: there are no further rungs.
    pub fn __hc_shape(&self) -> Self {
        *self
    }
}

macro_rules! rung {
    ($doc:literal, $trait:ident, $mode:ident, $receiver:ty, [$($generics:tt)*], $error:ty) => {
        #[doc = $doc]
        pub trait $trait<T, E> {
            /// The shape with this way to share errors.
            fn __hc_shape(&self) -> ResultShape<T, E, $mode>;
        }

        impl<T, $($generics)*> $trait<T, $error> for $receiver {
            fn __hc_shape(&self) -> ResultShape<T, $error, $mode> {
                ResultShape(PhantomData)
            }
        }
    };
}
rung!("`Result<T, NoCache<T>>`", NoCacheRung, ByType, &&&&ResultProbe<T, NoCache<T>>, [], NoCache<T>);
rung!("Errors that can be cloned.", CloneRung, ByClone, &&&ResultProbe<T, E>, [E: Clone], E);
rung!("Errors that can be told, and made of what was told.", TellRung, ByText, &&ResultProbe<T, E>,
    [E: Error + From<LoadError>], E);
rung!("Errors that a `LoadError` can carry.", ShareRung, ByLoadError, &ResultProbe<T, E>,
    [E: From<LoadError> + Into<Box<dyn Error + Send + Sync>>], E);
rung!("All other errors.", OwnRung, ByOwner, ResultProbe<T, E>, [E], E);

/// How the error of one load reaches all of its callers.
pub trait ErrorMode<T, E>: 'static {
    /// The value that the error carries, if it is a `NoCache`.
    fn into_value(error: E) -> Result<T, E> {
        Err(error)
    }

    /// See [`Shape::failure`].
    fn failure(error: E, others: bool) -> Failure;
}

/// Each caller gets a clone.
#[derive(Debug)]
pub struct ByClone;
/// The caller that started the load gets the error itself. The others get a `LoadError::Failed` with its message and
/// those of its sources.
#[derive(Debug)]
pub struct ByText;
/// Each caller gets a `LoadError::Failed` around the same error.
#[derive(Debug)]
pub struct ByLoadError;
/// Only the caller that started the load gets the error; each of the others loads for itself.
#[derive(Debug)]
pub struct ByOwner;
/// `NoCache<T>`: a value, or a `LoadError` to clone.
#[derive(Debug)]
pub struct ByType;
/// As `M`, and a `NoCache<T>` is recognised at run time: for functions that are generic over their error, where the
/// compiler cannot choose [`ByType`].
#[derive(Debug)]
pub struct OrNoCache<M>(PhantomData<M>);

impl<T, E: Clone + Send + 'static> ErrorMode<T, E> for ByClone {
    fn failure(error: E, others: bool) -> Failure {
        if !others {
            return Failure::unshared(error);
        }
        // Errors need not be `Sync`.
        let error = Mutex::new(error);
        Failure::shared(move || error.lock_unpoisoned().clone())
    }
}

impl<T, E: Error + From<LoadError> + Send + 'static> ErrorMode<T, E> for ByText {
    fn failure(error: E, others: bool) -> Failure {
        if !others {
            return Failure::unshared(error);
        }
        let text: Arc<dyn Error + Send + Sync> = Arc::new(ErrorText::of(&error));
        Failure::kept(error, move || E::from(LoadError::Failed(text.clone())))
    }
}

impl<T, E> ErrorMode<T, E> for ByLoadError
where
    E: From<LoadError> + Into<Box<dyn Error + Send + Sync>> + Send + 'static,
{
    fn failure(error: E, others: bool) -> Failure {
        if !others {
            return Failure::unshared(error);
        }
        let error: Arc<dyn Error + Send + Sync> = Arc::from(error.into());
        Failure::shared(move || E::from(LoadError::Failed(error.clone())))
    }
}

impl<T, E: Send + 'static> ErrorMode<T, E> for ByOwner {
    fn failure(error: E, _: bool) -> Failure {
        Failure::unshared(error)
    }
}

impl<T: Send + 'static> ErrorMode<T, NoCache<T>> for ByType {
    fn into_value(error: NoCache<T>) -> Result<T, NoCache<T>> {
        match error.inner {
            NotStored::Value(value) => Ok(value),
            inner @ NotStored::Failed(_) => Err(NoCache { inner }),
        }
    }

    fn failure(error: NoCache<T>, _: bool) -> Failure {
        match error.inner {
            NotStored::Failed(error) => Failure::shared(move || NoCache::<T>::from(error.clone())),
            inner @ NotStored::Value(_) => Failure::unshared(NoCache { inner }),
        }
    }
}

impl<T: 'static, E: 'static, M: ErrorMode<T, E>> ErrorMode<T, E> for OrNoCache<M> {
    fn into_value(error: E) -> Result<T, E> {
        let mut error = Some(error);
        let typed = (&mut error as &mut dyn Any).downcast_mut::<Option<NoCache<T>>>();
        if let Some(no_cache @ Some(NoCache { inner: NotStored::Value(_) })) = typed
            && let Some(NoCache { inner: NotStored::Value(value) }) = no_cache.take()
        {
            return Ok(value);
        }
        match error {
            Some(error) => M::into_value(error),
            None => unreachable!("it is taken only to be returned"),
        }
    }

    fn failure(error: E, others: bool) -> Failure {
        M::failure(error, others)
    }
}

impl<R: CacheValue> Shape for PlainShape<R> {
    type Return = R;
    type Value = R;
    type Error = Infallible;

    fn give(value: R) -> R {
        value
    }

    fn fail(error: Infallible) -> R {
        match error {}
    }

    fn split(returned: R) -> Returned<R, Infallible> {
        Returned::Value(returned)
    }

    fn failure(error: Infallible, _: bool) -> Failure {
        match error {}
    }

    fn memory_type() -> &'static ValueType {
        &Typed::<R>::MEMORY
    }
}

impl<R: SharedValue> SharedShape for PlainShape<R> {
    fn shared_type() -> &'static ValueType {
        &Typed::<R>::SHARED
    }
}

impl<R: CacheValue, C: Codec<R>> CodedShape<C> for PlainShape<R> {
    fn coded_type() -> &'static ValueType {
        &const { Typed::<R>::coded::<C>() }
    }
}

impl<T: CacheValue> Shape for OptionShape<T> {
    type Return = Option<T>;
    type Value = Option<T>;
    type Error = Infallible;

    fn give(value: Option<T>) -> Option<T> {
        value
    }

    fn fail(error: Infallible) -> Option<T> {
        match error {}
    }

    fn split(returned: Option<T>) -> Returned<Option<T>, Infallible> {
        Returned::Value(returned)
    }

    fn failure(error: Infallible, _: bool) -> Failure {
        match error {}
    }

    fn memory_type() -> &'static ValueType {
        &Typed::<Option<T>>::MEMORY
    }
}

impl<T: SharedValue> SharedShape for OptionShape<T> {
    fn shared_type() -> &'static ValueType {
        &const { Typed::<Option<T>>::coded_option::<MessagePack>() }
    }
}

impl<T: CacheValue, C: Codec<T>> CodedShape<C> for OptionShape<T> {
    fn coded_type() -> &'static ValueType {
        &const { Typed::<Option<T>>::coded_option::<C>() }
    }
}

impl<T: CacheValue, E: ErrorValue, M: ErrorMode<T, E>> Shape for ResultShape<T, E, M> {
    type Return = Result<T, E>;
    type Value = T;
    type Error = E;

    fn give(value: T) -> Result<T, E> {
        Ok(value)
    }

    fn fail(error: E) -> Result<T, E> {
        Err(error)
    }

    fn split(returned: Result<T, E>) -> Returned<T, E> {
        match returned {
            Ok(value) => Returned::Value(value),
            Err(error) => match M::into_value(error) {
                Ok(value) => Returned::NotStored(value),
                Err(error) => Returned::Error(error),
            },
        }
    }

    fn failure(error: E, others: bool) -> Failure {
        M::failure(error, others)
    }

    fn memory_type() -> &'static ValueType {
        &Typed::<T>::MEMORY
    }
}

impl<T: SharedValue, E: ErrorValue, M: ErrorMode<T, E>> SharedShape for ResultShape<T, E, M> {
    fn shared_type() -> &'static ValueType {
        &Typed::<T>::SHARED
    }
}

impl<T: CacheValue, E: ErrorValue, M: ErrorMode<T, E>, C: Codec<T>> CodedShape<C> for ResultShape<T, E, M> {
    fn coded_type() -> &'static ValueType {
        &const { Typed::<T>::coded::<C>() }
    }
}

impl<R: 'static> Shape for Misfit<R> {
    type Return = R;
    type Value = ();
    type Error = Infallible;

    fn give((): ()) -> R {
        unreachable!("see `MisfitRung`")
    }

    fn fail(error: Infallible) -> R {
        match error {}
    }

    fn split(_: R) -> Returned<(), Infallible> {
        Returned::Value(())
    }

    fn failure(error: Infallible, _: bool) -> Failure {
        match error {}
    }

    fn memory_type() -> &'static ValueType {
        &Typed::<()>::MEMORY
    }
}

impl<R: 'static> SharedShape for Misfit<R> {
    fn shared_type() -> &'static ValueType {
        &Typed::<()>::SHARED
    }
}

impl<R: 'static, C> CodedShape<C> for Misfit<R> {
    fn coded_type() -> &'static ValueType {
        &Typed::<()>::SHARED
    }
}

impl<R: 'static> CanTimeOut for Misfit<R> {
    fn timed_out() -> R {
        unreachable!("see `MisfitRung`")
    }
}

impl<R: 'static> HasNone for Misfit<R> {
    fn is_none(_: &AnyValue) -> bool {
        false
    }
}

impl<T: CacheValue> HasNone for OptionShape<T> {
    fn is_none(value: &AnyValue) -> bool {
        is_none::<T>(value)
    }
}

impl<T: CacheValue, E: ErrorValue, M: ErrorMode<Option<T>, E>> HasNone for ResultShape<Option<T>, E, M> {
    fn is_none(value: &AnyValue) -> bool {
        is_none::<T>(value)
    }
}

pub(crate) fn is_none<T: 'static>(value: &AnyValue) -> bool {
    value.downcast_ref::<Option<T>>().is_some_and(Option::is_none)
}

impl<T: CacheValue, E: FromLoadError + ErrorValue, M: ErrorMode<T, E>> CanTimeOut for ResultShape<T, E, M> {
    fn timed_out() -> Result<T, E> {
        Err(E::from(LoadError::TimedOut))
    }
}

/// The error that [`Failure::take`] returned, downcast to its own type.
pub(crate) fn typed_error<S: Shape>(error: Box<dyn Any + Send>) -> Option<S::Error> {
    error.downcast().ok().map(|error| *error)
}
