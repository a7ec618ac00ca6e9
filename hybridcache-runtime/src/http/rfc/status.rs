//! `Cache-Status` (RFC 9211).

use std::time::Duration;

use http::{HeaderMap, StatusCode};

/// Why a request went to the origin: the tokens of the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forward {
    /// `bypass`: the cache was told not to handle it.
    Bypass,
    /// `method`
    Method,
    /// `uri-miss`: nothing is stored for it.
    UriMiss,
    /// `vary-miss`: something is stored for its URI, and does not match.
    VaryMiss,
    /// `request`: what is stored is fresh, and the request would not have it.
    Request,
    /// `stale`
    Stale,
    /// `partial`
    Partial,
}

/// What this cache did, as one member of the field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheStatus {
    /// The origin was not asked.
    pub(crate) hit: bool,
    pub(crate) forward: Option<Forward>,
    /// What the origin said, where that is not what the client gets (a 304 to our revalidation, an error that a stale answer
    /// replaces).
    pub(crate) forward_status: Option<StatusCode>,
    /// How long it is fresh yet: `Ok`; for how long it has been stale: `Err`.
    pub(crate) ttl: Option<Result<Duration, Duration>>,
    pub(crate) stored: bool,
    pub(crate) collapsed: bool,
    /// More, for people; any text.
    pub(crate) detail: Option<String>,
}

impl CacheStatus {
    /// Appends it under the cache's `name`, after what caches nearer to the origin said. No field where `name` cannot stand in
    /// one.
    pub(crate) fn append(&self, name: &str, headers: &mut HeaderMap) {
        let _ = (name, headers);
        todo!()
    }
}
