//! An error that all callers of one load get.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// An error that cannot be cloned, shared by all callers of one load: each gets the error itself, behind an `Arc`.
///
/// As the error type of a cached function, it converts with `?` from every error that converts to `E`. It derefs to
/// `E`, whose variants can be matched. With `anyhow`, `SharedError<anyhow::Error>` can be downcast by each caller.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// use hybridcache::SharedError;
///
/// # #[derive(Debug)]
/// enum AppError {
///     NotFound,
///     Io(std::io::Error), // is not `Clone`
/// }
/// # impl std::fmt::Display for AppError {
/// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("..") }
/// # }
/// # impl std::error::Error for AppError {}
/// # impl From<std::io::Error> for AppError {
/// #     fn from(error: std::io::Error) -> Self { Self::Io(error) }
/// # }
///
/// // With `#[hybrid_cached(..)]`.
/// async fn row(id: u64) -> Result<String, SharedError<AppError>> {
///     if id == 0 {
///         return Err(AppError::NotFound.into());
///     }
///     Ok(std::fs::read_to_string("row")?)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let status = match row(0).await.as_ref().map_err(|error| &**error) {
///     Ok(_) => 200,
///     Err(AppError::NotFound) => 404,
///     Err(AppError::Io(_)) => 500,
/// };
/// assert_eq!(status, 404);
/// # }
/// ```
///
/// It does not implement [`std::error::Error`], as `anyhow::Error` does not, so that every such error converts to it.
/// If one is needed, `.map_err(SharedError::into_inner)?` gives an `Arc<E>`, which implements it.
pub struct SharedError<E>(Arc<E>);

impl<E> SharedError<E> {
    /// Shares an error that does not implement [`std::error::Error`], such as `anyhow::Error`. Other errors convert
    /// with `into()`.
    pub fn new(error: E) -> Self {
        Self(Arc::new(error))
    }

    /// The error, shared.
    pub fn into_inner(self) -> Arc<E> {
        self.0
    }
}

impl<E: From<S>, S: std::error::Error> From<S> for SharedError<E> {
    fn from(source: S) -> Self {
        Self::new(source.into())
    }
}

impl<E> Deref for SharedError<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.0
    }
}

impl<E> Clone for SharedError<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E: fmt::Debug> fmt::Debug for SharedError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<E: fmt::Display> fmt::Display for SharedError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
