//! Why a shared tier did not do an operation, and the [`Error`] that the user gets for it.

use std::fmt;

use crate::error::{Error, ErrorKind};

/// Why a tier did not do an operation.
#[derive(Clone, Debug)]
pub(crate) struct RemoteError {
    pub(crate) kind: RemoteErrorKind,
    pub(crate) message: String,
}

/// The kinds of [`RemoteError`] that the engine handles differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemoteErrorKind {
    /// There is no connection, or it broke: it is not known whether the command ran.
    Unavailable,
    /// The part of the tier that has the key can be neither read nor written until the tier calls
    /// [`Listener::resubscribed`]. The other parts can.
    PartDown,
    /// A large value did not arrive in time because of its size. This says nothing about small values.
    Transfer,
    /// No answer in time.
    Timeout,
    /// The server answered with an error (full, read-only, loading, no permission, ...).
    Refused,
}

impl RemoteError {
    /// There is no connection to the server that should answer.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self { kind: RemoteErrorKind::Unavailable, message: message.into() }
    }

    /// An invalidation that the journal will send again. `action` is what failed, such as "invalidate user:7", and
    /// begins the message.
    pub(crate) fn pending(&self, action: &str) -> Error {
        let message = format!("{action}: {self}; other processes will be notified when Redis answers (pending)");
        Error::of_tier(self.kind(), true, message)
    }

    /// Closing the cache has left some invalidations unsent.
    pub(crate) fn unsent(&self, count: usize) -> Error {
        let message = format!("close: other processes are not notified of {count} invalidations: {self}");
        Error::of_tier(self.kind(), false, message)
    }

    /// There is no connection to the URL yet.
    pub(crate) fn not_reconnected(&self) -> Error {
        let message = format!("reconnect: {self}; trying again in the background");
        Error::of_tier(self.kind(), false, message)
    }

    /// The older value is removed everywhere. The new value was not stored, or it is not known whether it was.
    pub(crate) fn unstored(&self, action: &str) -> Error {
        let message = format!("{action}: {self}; what was cached is gone everywhere, and the value may not be stored");
        Error::of_tier(self.kind(), false, message)
    }

    fn kind(&self) -> ErrorKind {
        match self.kind {
            RemoteErrorKind::Timeout => ErrorKind::Timeout,
            RemoteErrorKind::Unavailable
            | RemoteErrorKind::PartDown
            | RemoteErrorKind::Transfer
            | RemoteErrorKind::Refused => ErrorKind::Unavailable,
        }
    }
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
