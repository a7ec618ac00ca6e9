//! Returning a value without storing it.

use std::convert::Infallible;
use std::fmt;

use crate::error::LoadError;

/// `Err(NoCache(value))` in a cached function gives every caller `Ok(value)` and stores nothing.
///
/// The constructor is the function [`NoCache()`](fn@NoCache) of the same name, so one `use` brings both. The attribute
/// recognises the expression in the function's own control flow whatever the error type is. A helper function can
/// return `Result<T, NoCache<T>>`; a cached function that declares that very type recognises it by type.
pub struct NoCache<T> {
    pub(crate) inner: NotStored<T>,
}

/// The content of a [`NoCache`]: the value to return, or the only error that a function of this error type has.
pub(crate) enum NotStored<T> {
    Value(T),
    Failed(LoadError),
}

/// Marks a value as not to be stored: see the type [`NoCache`](struct@NoCache).
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// use hybridcache::NoCache;
///
/// fn visible(draft: bool) -> Result<u32, NoCache<u32>> {
///     if draft { Err(NoCache(7)) } else { Ok(8) }
/// }
/// assert_eq!(visible(true).unwrap_err().into_value().ok(), Some(7));
/// ```
#[allow(non_snake_case, reason = "it stands for a tuple struct's constructor")]
pub fn NoCache<T>(value: T) -> NoCache<T> {
    NoCache { inner: NotStored::Value(value) }
}

impl<T> NoCache<T> {
    /// The value, or the failed load that this represents.
    ///
    /// # Errors
    /// The [`LoadError`] it was made from.
    pub fn into_value(self) -> Result<T, LoadError> {
        match self.inner {
            NotStored::Value(value) => Ok(value),
            NotStored::Failed(error) => Err(error),
        }
    }
}

impl<T> From<LoadError> for NoCache<T> {
    fn from(error: LoadError) -> Self {
        Self { inner: NotStored::Failed(error) }
    }
}

impl<T> From<Infallible> for NoCache<T> {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl<T> fmt::Debug for NoCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.inner {
            NotStored::Value(_) => f.write_str("NoCache(..)"),
            NotStored::Failed(error) => f.debug_tuple("NoCache").field(error).finish(),
        }
    }
}

impl<T> fmt::Display for NoCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.inner {
            NotStored::Value(_) => f.write_str("a value that is not to be stored"),
            NotStored::Failed(error) => error.fmt(f),
        }
    }
}

impl<T> std::error::Error for NoCache<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.inner {
            NotStored::Value(_) => None,
            NotStored::Failed(error) => error.source(),
        }
    }
}
