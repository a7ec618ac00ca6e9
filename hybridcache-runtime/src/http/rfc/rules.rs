//! The choices that the rules leave to configuration.

use std::time::Duration;

use http::HeaderName;

/// The choices that the standards leave to the operator of the cache.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Fields that address this cache alone, the most specific first (RFC 9213). The first of them that is present and
    /// valid replaces `Cache-Control` and `Expires`.
    pub(crate) targeted: Vec<HeaderName>,
    /// The limit of heuristic freshness. A response without explicit freshness is fresh for a tenth of the time since
    /// `Last-Modified`, and at most for this time. Zero: such a response is never fresh without asking the origin.
    pub(crate) heuristic: Duration,
    /// Whether responses with `Set-Cookie` may be stored. All clients would then get the cookie of one.
    pub(crate) set_cookie: bool,
    /// How long a response without `stale-if-error` may be served when the origin fails. `must-revalidate` and similar
    /// directives take precedence.
    pub(crate) stale_on_error: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            targeted: vec![HeaderName::from_static("cdn-cache-control")],
            heuristic: Duration::from_secs(24 * 60 * 60),
            set_cookie: false,
            stale_on_error: Duration::ZERO,
        }
    }
}
