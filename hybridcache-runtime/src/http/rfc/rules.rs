//! What the rules leave to configuration.

use std::time::Duration;

use http::HeaderName;

/// What the standards leave to whoever runs the cache.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Fields that speak to this cache alone, the most specific first (RFC 9213). The first of them that is there and valid replaces
    /// `Cache-Control` and `Expires`.
    pub(crate) targeted: Vec<HeaderName>,
    /// The longest that an answer without explicit freshness counts as fresh: a tenth of the time since `Last-Modified`, no more
    /// than this. Zero: such answers are never fresh without asking.
    pub(crate) heuristic: Duration,
    /// Whether answers with `Set-Cookie` may be stored. The cookie of one client would be everybody's.
    pub(crate) set_cookie: bool,
    /// How long an answer without `stale-if-error` stands in when the origin fails. `must-revalidate` and its kin win.
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
