//! How the cache handles a request, and which responses the request accepts.

use std::time::Duration;

use http::Method;
use http::request::Parts;

use super::directives::RequestDirectives;
use super::{fields, invalidate};

/// How the cache handles a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The request goes to the origin unchanged. The response is not stored and invalidates nothing.
    Bypass(Bypass),
    /// GET or HEAD: the store may answer.
    Lookup(Wants),
    /// The request goes to the origin unchanged. A response that is no error invalidates (`invalidate::targets`).
    Unsafe,
}

/// Why the store is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bypass {
    /// A safe method that is not cached.
    Method,
    /// The connection changes its protocol.
    Upgrade,
}

/// The responses that a GET or HEAD accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    /// HEAD: the response from a stored GET has no body. The origin's response to a HEAD is not stored.
    pub(crate) head: bool,
    /// `no-cache`, or `Pragma: no-cache` without `Cache-Control`: the origin is asked.
    pub(crate) no_cache: bool,
    /// `no-store`: the response is not stored. A stored one may still be used.
    pub(crate) no_store: bool,
    /// `only-if-cached`: 504 instead of a request to the origin.
    pub(crate) only_if_cached: bool,
    /// `max-age`: no older response.
    pub(crate) max_age: Option<Duration>,
    /// `min-fresh`: fresh for at least that long from now.
    pub(crate) min_fresh: Duration,
    /// `max-stale`: stale for at most that long; `Duration::MAX` if it has no number.
    pub(crate) max_stale: Duration,
    /// `stale-if-error`: instead of an error, a response that has been stale for at most that long.
    pub(crate) stale_if_error: Duration,
}

/// Reads a request. The caller checks for a body, a cookie and other properties that the configuration bypasses.
///
/// `has_directives`: whether it has one of `Cache-Control`, `Pragma` and `Upgrade`.
pub(crate) fn ask(request: &Parts, has_directives: bool) -> Asked {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return if invalidate::is_safe(&request.method) { Asked::Bypass(Bypass::Method) } else { Asked::Unsafe };
    }
    if !has_directives {
        return Asked::Lookup(Wants { head: request.method == Method::HEAD, ..Wants::default() });
    }
    if upgrades(request) {
        return Asked::Bypass(Bypass::Upgrade);
    }
    Asked::Lookup(wants(request))
}

fn upgrades(request: &Parts) -> bool {
    let mut options = fields::members(&request.headers, &http::header::CONNECTION);
    request.headers.contains_key(http::header::UPGRADE) && options.any(|option| option.eq_ignore_ascii_case(b"upgrade"))
}

fn wants(request: &Parts) -> Wants {
    let said = RequestDirectives::of(&request.headers);
    Wants {
        head: request.method == Method::HEAD,
        no_cache: said.no_cache,
        no_store: said.no_store,
        only_if_cached: said.only_if_cached,
        max_age: said.max_age.duration(),
        // A value that is not readable grants nothing: no staleness, and any freshness is too short.
        min_fresh: if said.min_fresh.is_invalid() {
            Duration::MAX
        } else {
            said.min_fresh.duration().unwrap_or_default()
        },
        max_stale: if said.any_stale { Duration::MAX } else { said.max_stale.duration().unwrap_or_default() },
        stale_if_error: said.stale_if_error.duration().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, Lines};
    use super::*;

    fn asked(method: &str, lines: Lines<'_>) -> Asked {
        let asked = ask(&sample::request(method, "/", lines), true);
        let has_directives = lines.iter().any(|(name, _)| ["cache-control", "pragma", "upgrade"].contains(name));
        assert_eq!(ask(&sample::request(method, "/", lines), has_directives), asked, "{lines:?}");
        asked
    }

    #[test]
    fn methods() {
        assert_eq!(asked("GET", &[]), Asked::Lookup(Wants::default()));
        assert_eq!(asked("HEAD", &[]), Asked::Lookup(Wants { head: true, ..Wants::default() }));
        for method in ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "get"] {
            assert_eq!(asked(method, &[]), Asked::Unsafe, "{method}");
        }
        for method in ["OPTIONS", "TRACE", "PROPFIND"] {
            assert_eq!(asked(method, &[]), Asked::Bypass(Bypass::Method), "{method}");
        }
    }

    #[test]
    fn upgrades_bypass() {
        assert_eq!(
            asked("GET", &[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]),
            Asked::Bypass(Bypass::Upgrade)
        );
        assert_eq!(asked("GET", &[("upgrade", "h2c")]), Asked::Lookup(Wants::default()));
    }

    #[test]
    fn directives() {
        let second = Duration::from_secs(1);
        let cases: &[(&str, Wants)] = &[
            ("nothing-to-see-here", Wants::default()),
            ("no-cache, no-store", Wants { no_cache: true, no_store: true, ..Wants::default() }),
            ("only-if-cached", Wants { only_if_cached: true, ..Wants::default() }),
            ("max-age=1", Wants { max_age: Some(second), ..Wants::default() }),
            ("max-age=x", Wants { max_age: Some(Duration::ZERO), ..Wants::default() }),
            ("min-fresh=1", Wants { min_fresh: second, ..Wants::default() }),
            ("min-fresh=x", Wants { min_fresh: Duration::MAX, ..Wants::default() }),
            ("max-stale=1", Wants { max_stale: second, ..Wants::default() }),
            ("max-stale", Wants { max_stale: Duration::MAX, ..Wants::default() }),
            ("max-stale=x", Wants::default()),
            ("stale-if-error=1", Wants { stale_if_error: second, ..Wants::default() }),
        ];
        for (line, expected) in cases {
            assert_eq!(asked("GET", &[("cache-control", line)]), Asked::Lookup(expected.clone()), "{line}");
        }
    }
}
