//! What the layer did with a request.

use std::time::Duration;

use super::rfc::status::Forward;
use super::rfc::{CacheStatus, Refusal};

/// In the extensions of each response: what the cache did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheOutcome {
    pub(super) status: CacheStatus,
    pub(super) age: Option<Duration>,
    pub(super) stale: bool,
}

/// NotStored a request went to the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Forwarded {
    /// The cache does not handle such requests: a body, a cookie, an upgrade.
    Bypass,
    /// It does not handle the method.
    Method,
    /// Nothing was stored.
    Miss,
    /// Something was, for other requests to the same URI.
    VaryMiss,
    /// What was stored was fresh, and the client would not have it.
    Request,
    /// What was stored was stale.
    Stale,
}

impl CacheOutcome {
    /// Answered from the store, without asking the handler.
    pub fn is_hit(&self) -> bool {
        self.status.hit
    }

    /// The answer is a stored one and no longer fresh.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// How old the answer is, where it is a stored one.
    pub fn age(&self) -> Option<Duration> {
        self.age
    }

    /// NotStored the handler was asked.
    pub fn forwarded(&self) -> Option<Forwarded> {
        Some(match self.status.forward? {
            Forward::Bypass => Forwarded::Bypass,
            Forward::Method => Forwarded::Method,
            Forward::UriMiss | Forward::Miss => Forwarded::Miss,
            Forward::VaryMiss => Forwarded::VaryMiss,
            Forward::Request => Forwarded::Request,
            Forward::Stale => Forwarded::Stale,
        })
    }

    /// It waited for a call of the handler that another request had made.
    pub fn is_collapsed(&self) -> bool {
        self.status.collapsed
    }

    /// What the handler said is stored.
    pub fn is_stored(&self) -> bool {
        self.status.stored
    }
}

/// NotStored an answer is not stored. In the extensions of the answer until `Cache-Status` has said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotStored {
    /// The handler's policy or `no-store`.
    NoStore,
    Private,
    NoCache,
    SetCookie,
    VaryAny,
    Status,
    /// The status is about this request.
    Request,
    NotAccepted,
    /// Neither fresh nor to be confirmed.
    NoFreshness,
    /// The request said who asks.
    Identified,
    /// Longer than the limit.
    Long,
    /// It has no end that is waited for.
    Live,
    /// What was read is not what its length says.
    Incomplete,
    /// It is being recorded: whether it is stored is seen later.
    Streamed,
}

impl NotStored {
    /// As `Cache-Status` says it.
    pub(super) fn detail(self) -> &'static str {
        match self {
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::NoCache => "no-cache",
            Self::SetCookie => "set-cookie",
            Self::VaryAny => "vary",
            Self::Status => "status",
            Self::Request => "request-status",
            Self::NotAccepted => "not-accepted",
            Self::NoFreshness => "no-freshness",
            Self::Identified => "identified",
            Self::Long => "body-limit",
            Self::Live => "live",
            Self::Incomplete => "truncated",
            Self::Streamed => "streamed",
        }
    }

    pub(super) fn of(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Method | Refusal::Status => Self::Status,
            Refusal::Request => Self::Request,
            Refusal::RequestNoStore | Refusal::NoStore => Self::NoStore,
            Refusal::Private => Self::Private,
            Refusal::Authorization => Self::Identified,
            Refusal::SetCookie => Self::SetCookie,
            Refusal::VaryAny => Self::VaryAny,
            Refusal::Useless => Self::NoFreshness,
        }
    }
}
