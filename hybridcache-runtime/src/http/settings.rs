//! How a layer was configured.

use std::fmt;
use std::ops::BitOr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, StatusCode, Uri, request, response};

use super::request::key::Key;
use super::request::unkeyed::Unkeyed;
use super::rfc::Rules;
use crate::cache::HybridCache;
use crate::function::Site;

/// Where the times of an answer come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// From [`fresh_for`](super::Builder::fresh_for) and [`ttl`](super::Builder::ttl), for all answers of status 200. An answer with
    /// `no-store`, `private`, `no-cache` or `Set-Cookie` is not stored, `must-revalidate` forbids stale answers, and `Cache-Control` in
    /// requests is ignored.
    #[default]
    Configured,
    /// From the fields of answers and requests, as RFC 9111 defines for a shared cache.
    OriginHeaders,
}

/// How requests that identify their caller are handled: those with `Cookie`, `Authorization`, [`IDENTITY_FIELDS`](super::IDENTITY_FIELDS),
/// or axum's `ConnectInfo` in their extensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Private {
    /// They go to the handler, and their answers are not stored, unless all these fields are in the key. Under
    /// [`Mode::OriginHeaders`] an answer that is explicitly `public` is stored for all.
    #[default]
    Bypass,
    /// They are like all others, because the handler's answers do not depend on the caller. An answer that does is shown to other
    /// callers. Under [`Mode::OriginHeaders`] `Authorization` is excepted: the standard has rules for it.
    Share,
}

/// The failures of the handler for which a stale answer is served. Sets are joined with `|`.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// use hybridcache::http::StaleOn;
/// let gateway = StaleOn::BAD_GATEWAY | StaleOn::UNAVAILABLE | StaleOn::TIMEOUT;
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StaleOn(u8);

impl StaleOn {
    /// None: clients get the handler's failures.
    pub const NEVER: Self = Self(0);
    /// Status 500.
    pub const INTERNAL: Self = Self(1);
    /// Status 502.
    pub const BAD_GATEWAY: Self = Self(2);
    /// Status 503.
    pub const UNAVAILABLE: Self = Self(4);
    /// Status 504.
    pub const GATEWAY_TIMEOUT: Self = Self(8);
    /// The layer's own `timeout`.
    pub const TIMEOUT: Self = Self(16);
    /// The handler panicked.
    pub const PANIC: Self = Self(32);
    /// The inner service returned an error: a client could not connect, say.
    pub const ERROR: Self = Self(64);
    /// All of them: the default.
    pub const SERVER_ERRORS: Self = Self(127);

    pub(super) fn has(self, failure: Self) -> bool {
        self.0 & failure.0 != 0
    }

    /// Whether an answer of this status is such a failure.
    pub(super) fn has_status(self, status: StatusCode) -> bool {
        match status.as_u16() {
            500 => self.has(Self::INTERNAL),
            502 => self.has(Self::BAD_GATEWAY),
            503 => self.has(Self::UNAVAILABLE),
            504 => self.has(Self::GATEWAY_TIMEOUT),
            _ => false,
        }
    }
}

impl BitOr for StaleOn {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for StaleOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 7] = ["500", "502", "503", "504", "timeout", "panic", "error"];
        let names = NAMES.iter().enumerate().filter(|(bit, _)| self.0 & (1 << bit) != 0);
        f.debug_set().entries(names.map(|(_, name)| name)).finish()
    }
}

type AcceptRequest = Arc<dyn Fn(&request::Parts) -> bool + Send + Sync>;
type PublicUri = Arc<dyn Fn(&request::Parts) -> Uri + Send + Sync>;
type AcceptResponse = Arc<dyn Fn(&response::Parts) -> bool + Send + Sync>;

/// All of a layer that requests look at.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) cache: HybridCache,
    /// As what keys, statistics and the tags of paths call the layer.
    pub(super) name: &'static str,
    pub(super) site: &'static Site,
    /// Of the hash that spreads paths over their tags.
    pub(super) path_seed: [u8; 32],
    pub(super) mode: Mode,
    pub(super) timeout: Option<Duration>,
    pub(super) fresh_for: Duration,
    pub(super) ttl: Duration,
    /// How long errors are kept under configured times.
    pub(super) negative: Option<Duration>,
    pub(super) key: Key,
    /// The handler sees the unkeyed part of the query too.
    pub(super) shows_query: bool,
    pub(super) private: Private,
    pub(super) public_uri: Option<PublicUri>,
    pub(super) accept_request: Option<AcceptRequest>,
    pub(super) accept_response: Option<AcceptResponse>,
    /// From every request.
    pub(super) hidden: Vec<HeaderName>,
    pub(super) unkeyed: Unkeyed,
    pub(super) body_limit: u64,
    /// How long the shared tier keeps what was asked for once.
    pub(super) trial: Duration,
    pub(super) stale_on: StaleOn,
    pub(super) cache_status: Option<String>,
    pub(super) rules: Rules,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("name", &self.name).field("mode", &self.mode).finish_non_exhaustive()
    }
}
