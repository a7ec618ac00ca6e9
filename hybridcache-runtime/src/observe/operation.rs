//! What the shared tier is asked for, and how it answers.

use super::labels::labels;

/// One kind of step of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Reads an entry.
    Read,
    /// Reads the head of an entry, which has its fence.
    Verify,
    /// Creates stamps.
    CreateStamps,
    /// Takes a lease that is free, and reads the entry behind it.
    Take,
    /// Asks for a lease that another process has, and registers for its end.
    Acquire,
    /// Prolongs a lease.
    Renew,
    /// Gives a lease back.
    Release,
    /// Stores an entry.
    Publish,
    /// Removes an entry and takes its lease, for a put.
    Seize,
    /// Invalidates an entry.
    Invalidate,
    /// Invalidates a tag, a function or a namespace.
    Restamp,
    /// Asks for any answer.
    Probe,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StepResult {
    /// The tier answered.
    Ok,
    /// There is no connection, or it broke.
    Unavailable,
    /// No answer in time.
    Timeout,
    /// The tier answered with an error.
    Refused,
    /// The caller stopped waiting: its budget was spent, or it was dropped.
    Abandoned,
}

labels!(Operation {
    Read = "read",
    Verify = "verify",
    CreateStamps = "create_stamps",
    Take = "take",
    Acquire = "acquire",
    Renew = "renew",
    Release = "release",
    Publish = "publish",
    Seize = "seize",
    Invalidate = "invalidate",
    Restamp = "restamp",
    Probe = "probe",
});
labels!(StepResult {
    Ok = "ok",
    Unavailable = "unavailable",
    Timeout = "timeout",
    Refused = "refused",
    Abandoned = "abandoned",
});

impl Operation {
    /// The command of Redis that does most of it.
    pub(super) fn command(self) -> &'static str {
        match self {
            Self::Read | Self::Verify => "GETRANGE",
            Self::Take => "SET",
            Self::Restamp => "UNLINK",
            Self::Probe => "PING",
            _ => "EVALSHA",
        }
    }

    /// The script that does it.
    pub(super) fn script(self) -> Option<&'static str> {
        match self {
            Self::CreateStamps => Some("register"),
            Self::Acquire => Some("acquire"),
            Self::Renew => Some("renew"),
            Self::Release => Some("release"),
            Self::Publish => Some("publish"),
            Self::Seize | Self::Invalidate => Some("invalidate"),
            Self::Read | Self::Verify | Self::Take | Self::Restamp | Self::Probe => None,
        }
    }
}
