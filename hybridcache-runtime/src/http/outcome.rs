//! What the layer did with a request, and why it did not store an answer.

use std::time::Duration;

use super::rfc::status::Forward;
use super::rfc::{CacheStatus, Refusal};

/// In the extensions of each response: what the cache did. A response without it came from a layer inside another of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheOutcome {
    pub(super) status: CacheStatus,
    pub(super) age: Option<Duration>,
    pub(super) stale: bool,
}

/// Why a request went to the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Forwarded {
    /// The cache does not handle such requests: with a body, a cookie, an upgrade.
    Bypass,
    /// The cache does not handle the method.
    Method,
    /// Nothing was stored.
    Miss,
    /// An answer was stored, for other requests to the same URI.
    VaryMiss,
    /// The stored answer was fresh, and the request did not accept it (`no-cache`, `max-age`, ..).
    Request,
    /// The stored answer was stale.
    Stale,
}

impl CacheOutcome {
    /// The answer is a stored one, and the handler was not called for it.
    pub fn is_hit(&self) -> bool {
        self.status.hit
    }

    /// The answer is a stored one and no longer fresh.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// The age of a stored answer; `None` for others.
    pub fn age(&self) -> Option<Duration> {
        self.age
    }

    /// Why the handler was called; `None` for a hit.
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

    /// The request waited for a call of the handler that another request had started.
    pub fn is_collapsed(&self) -> bool {
        self.status.collapsed
    }

    /// The handler's answer is stored.
    pub fn is_stored(&self) -> bool {
        self.status.stored
    }
}

/// Why an answer is not stored. In the extensions of the answer until it is written to `Cache-Status`.
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
    /// Neither fresh nor with a validator.
    NoFreshness,
    /// The request identifies its caller.
    Identified,
    /// Longer than the limit.
    Long,
    /// A stream of events, without an end to wait for.
    Live,
    /// The body is shorter or longer than its length.
    Incomplete,
    /// The body is being recorded: its end decides.
    Streamed,
}

impl NotStored {
    /// The value of `detail` in `Cache-Status`.
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
