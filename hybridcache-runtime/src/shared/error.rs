//! Why a shared tier did not do what it was asked, and what the user is told of it.

use std::fmt;

use crate::error::{Error, Kind};

/// Why a tier did not do what it was asked.
#[derive(Clone, Debug)]
pub(crate) struct RemoteError {
    pub(crate) kind: RemoteErrorKind,
    pub(crate) message: String,
}

/// The kinds of [`RemoteError`] that make a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemoteErrorKind {
    /// No connection, or it broke: nobody knows whether the command ran.
    Unavailable,
    /// The part of the tier that has the key cannot be reached, neither to read nor to write, before the tier says
    /// [`Listener::resubscribed`]. The other parts can.
    PartDown,
    /// A large value did not arrive, for its size. This says nothing of what is small.
    Transfer,
    /// No answer in time.
    Timeout,
    /// The server answered with an error (full, read-only, loading, no permission, ...).
    Refused,
}

impl RemoteError {
    /// There is no way to who should answer.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self { kind: RemoteErrorKind::Unavailable, message: message.into() }
    }

    /// An invalidation that the journal will repeat. What was to be done is said first: "invalidate user:7".
    pub(crate) fn pending(&self, action: &str) -> Error {
        let message = format!("{action}: {self}; other processes will be told when Redis answers (pending)");
        Error::of_tier(self.kind(), true, message)
    }

    /// Closing the cache has left some invalidations unsent.
    pub(crate) fn unsent(&self, count: usize) -> Error {
        let message = format!("close: other processes are not told of {count} invalidations: {self}");
        Error::of_tier(self.kind(), false, message)
    }

    /// There is no connection to the URL yet.
    pub(crate) fn not_reconnected(&self) -> Error {
        let message = format!("reconnect: {self}; trying on in the background");
        Error::of_tier(self.kind(), false, message)
    }

    /// The older value is gone everywhere, and the new one was not stored, or nobody knows.
    pub(crate) fn unstored(&self, action: &str) -> Error {
        let message = format!("{action}: {self}; what was cached is gone everywhere, and the value may not be stored");
        Error::of_tier(self.kind(), false, message)
    }

    fn kind(&self) -> Kind {
        match self.kind {
            RemoteErrorKind::Timeout => Kind::Timeout,
            RemoteErrorKind::Unavailable
            | RemoteErrorKind::PartDown
            | RemoteErrorKind::Transfer
            | RemoteErrorKind::Refused => Kind::Unavailable,
        }
    }
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
