//! The errors of the crate: [`Error`] for the cache object and the handles, [`LoadError`] for a load.

use std::fmt;
use std::sync::Arc;

/// An error of the cache object or of an entry handle.
///
/// The builder, the methods of [`HybridCache`](crate::HybridCache), the entry handles and the HTTP layer return it. A
/// cached call never fails because the cache does.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let error = hybridcache::HybridCache::builder().namespace("").build().await.unwrap_err();
/// assert!(error.is_config());
/// assert!(error.to_string().contains("namespace"));
/// # }
/// ```
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    pending: bool,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    Config,
    Unavailable,
    Timeout,
}

impl Error {
    /// Redis could not be reached, or refused; or the cache was closed.
    pub fn is_unavailable(&self) -> bool {
        self.kind == ErrorKind::Unavailable
    }

    /// Redis did not answer in time: it is not known whether Redis ran the command.
    pub fn is_timeout(&self) -> bool {
        self.kind == ErrorKind::Timeout
    }

    /// The invalidation took effect in this process, and Redis has not acknowledged it. This process sends it again as
    /// soon as Redis answers, and reads nothing from that server before. Until then other processes may serve the old
    /// value. The invalidation is lost to them if this process ends first.
    pub fn is_pending(&self) -> bool {
        self.pending
    }

    /// A setting is wrong. The message names it.
    pub fn is_config(&self) -> bool {
        self.kind == ErrorKind::Config
    }

    /// `setting` is what the user wrote: a builder method or an environment variable.
    pub(crate) fn config(setting: &str, problem: impl fmt::Display) -> Self {
        Self { kind: ErrorKind::Config, pending: false, message: format!("{setting}: {problem}") }
    }

    /// The error of an operation that a shared tier did not do, or may have done.
    pub(crate) fn of_tier(kind: ErrorKind, pending: bool, message: String) -> Self {
        Self { kind, pending, message }
    }

    /// The cache was closed before.
    pub(crate) fn closed(action: &str) -> Self {
        let message =
            format!("{action}: the cache was closed: this process has done it, and other processes are not notified");
        Self { kind: ErrorKind::Unavailable, pending: false, message }
    }

    /// Closing the cache was stopped before it was done: it is not known which invalidations were sent.
    pub(crate) fn not_closed(pending: usize, reason: &str) -> Self {
        let message = format!(
            "close: {reason}; {pending} invalidations are known to be unsent, and leases may not have been given back"
        );
        Self { kind: ErrorKind::Unavailable, pending: false, message }
    }

    /// The shared tier answered, and has no room for a value. The older one is gone.
    pub(crate) fn refused(action: &str) -> Self {
        let message = format!("{action}: Redis did not take the value; what was cached is gone everywhere");
        Self { kind: ErrorKind::Unavailable, pending: false, message }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Includes the message: `fn main() -> Result<(), Box<dyn Error>>` prints this form.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

/// Why a call got neither a value nor its own error from a load. The error type of a function with a `timeout` must be
/// convertible from it.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// #[derive(Debug, Clone)]
/// enum AppError {
///     NotFound,
///     Load(hybridcache::LoadError),
/// }
///
/// impl From<hybridcache::LoadError> for AppError {
///     fn from(error: hybridcache::LoadError) -> Self {
///         Self::Load(error)
///     }
/// }
/// ```
///
/// With `thiserror` that is one variant, `Load(#[from] LoadError)`; `anyhow::Error` and
/// `Box<dyn Error + Send + Sync>` have it already.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// The load ran longer than the function's `timeout`.
    TimedOut,
    /// The load that this caller had joined failed with an error that cannot be cloned. `Display` and `source()` are
    /// the original's.
    ///
    /// If the error is a [`std::error::Error`], the caller that started the load gets the original, and the joined
    /// callers get its message and those of its sources. If it is another error, such as `anyhow::Error`, all callers
    /// get it in this variant as soon as one has joined. If callers match on variants, derive `Clone` for the error, or
    /// return [`SharedError`](crate::SharedError): then each caller gets the error itself.
    Failed(Arc<dyn std::error::Error + Send + Sync>),
    /// The load that this caller had joined ended without an outcome: it panicked with this message where the panic
    /// could not be resumed, or its runtime was shut down.
    Panicked(String),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("the load timed out"),
            Self::Failed(error) => error.fmt(f),
            Self::Panicked(message) => write!(f, "the load panicked: {message}"),
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => error.source(),
            Self::TimedOut | Self::Panicked(_) => None,
        }
    }
}

/// The messages of an error and of its sources, for the callers that joined a load. The caller that started the load
/// has the error itself.
pub(crate) struct ErrorText {
    message: String,
    debug: String,
    source: Option<Box<Self>>,
}

impl ErrorText {
    pub(crate) fn of(error: &dyn std::error::Error) -> Self {
        let source = error.source().map(|source| Box::new(Self::of(source)));
        Self { message: error.to_string(), debug: format!("{error:?}"), source }
    }
}

impl fmt::Debug for ErrorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.debug)
    }
}

impl fmt::Display for ErrorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ErrorText {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
