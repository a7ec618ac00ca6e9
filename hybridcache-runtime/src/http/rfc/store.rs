//! Whether a response may be stored, and on which terms.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, Method, StatusCode, header, request, response};

use super::directives::{RequestDirectives, ResponseDirectives, Scope};
use super::rules::Rules;
use super::targeted::Control;
use super::vary::{self, Vary};
use super::{age, freshness, groups, hop};

/// Whether a response may be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Storing {
    /// No: it is for its requester only. Other requests that wait for it must ask the origin themselves.
    No(Refusal),
    /// Yes: for all requests that agree in the fields that `Vary` names.
    Yes(Terms),
}

/// Why a response is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is not the response to a GET.
    Method,
    /// It has no final status that this cache understands; 206 is a part and 304 a confirmation.
    Status,
    /// A status about its own request: [`concerns_its_request`].
    Request,
    /// The request has `no-store`.
    RequestNoStore,
    /// The response has `no-store`.
    NoStore,
    /// `private`.
    Private,
    /// The request has `Authorization`, and the response has none of `public`, `s-maxage` and `must-revalidate`.
    Authorization,
    /// `Set-Cookie`.
    SetCookie,
    /// `Vary: *`.
    VaryAny,
    /// It has neither freshness nor a validator, so it could never be used.
    Useless,
}

/// The terms on which a response is stored. Plain data, computed once: when it is stored or read back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Counted from the time at which the origin generated the response, so its age counts.
    pub(crate) fresh_for: Duration,
    /// Its age on arrival.
    pub(crate) initial_age: Duration,
    /// `stale-while-revalidate`: served stale for that long while it is refreshed in the background.
    pub(crate) stale_while_revalidate: Duration,
    /// `stale-if-error`, or the time that `Rules::stale_on_error` allows; zero if stale responses are forbidden.
    pub(crate) stale_if_error: Duration,
    /// `must-revalidate`, `proxy-revalidate`, `s-maxage`: never served stale, whatever the client or configuration
    /// allows.
    pub(crate) must_revalidate: bool,
    /// `no-cache`: never served without asking the origin.
    pub(crate) no_cache: bool,
    /// The fields of the request that must agree, sorted and without duplicates.
    pub(crate) vary: Vec<HeaderName>,
    /// The groups of RFC 9875 to which it belongs, as bare strings for comparison.
    pub(crate) groups: Vec<String>,
    /// Fields that are not stored: hop-by-hop ones, and those that `no-cache="…"` and `private="…"` name. `Stored::new`
    /// drops them.
    pub(crate) withheld: Vec<HeaderName>,
}

/// Decides by the head of a response. `asked` and `got` are the times at which the request was sent and the head
/// arrived.
///
/// The caller checks that the body is complete and within limits.
pub(crate) fn terms(
    request: &request::Parts,
    response: &response::Parts,
    rules: &Rules,
    asked: SystemTime,
    got: SystemTime,
) -> Storing {
    // The response to a HEAD is loaded by a GET.
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return Storing::No(Refusal::Method);
    }
    if RequestDirectives::of(&request.headers).no_store {
        return Storing::No(Refusal::RequestNoStore);
    }
    let initial_age = age::initial(&response.headers, asked, got);
    let authorized = request.headers.contains_key(header::AUTHORIZATION);
    judge(response.status, &response.headers, rules, initial_age, got, authorized)
}

/// Decides by the response alone. `authorized`: the request has `Authorization`.
pub(super) fn judge(
    status: StatusCode,
    headers: &HeaderMap,
    rules: &Rules,
    initial_age: Duration,
    got: SystemTime,
    authorized: bool,
) -> Storing {
    let control = Control::of(headers, rules);
    let said = &control.directives;
    let withheld = withheld(headers, said);
    if let Some(refusal) = refusal(status, headers, said, rules, &withheld, authorized) {
        return Storing::No(refusal);
    }
    let Vary::On(vary) = vary::of(headers) else { return Storing::No(Refusal::VaryAny) };
    let terms = Terms {
        fresh_for: freshness::lifetime(status, headers, &control, rules, got),
        initial_age,
        vary,
        groups: groups::of(headers),
        withheld,
        ..stale_terms(said, rules)
    };
    let permitted =
        said.public || freshness::explicit(headers, &control, got).is_some() || freshness::allows_heuristic(status);
    if permitted && is_useful(&terms, said, headers) { Storing::Yes(terms) } else { Storing::No(Refusal::Useless) }
}

fn withheld(headers: &HeaderMap, said: &ResponseDirectives) -> Vec<HeaderName> {
    [&hop::names(headers), said.no_cache.fields(), said.private.fields()].concat()
}

fn refusal(
    status: StatusCode,
    headers: &HeaderMap,
    said: &ResponseDirectives,
    rules: &Rules,
    withheld: &[HeaderName],
    authorized: bool,
) -> Option<Refusal> {
    let understood = said.must_understand && is_understood(status);
    let shared = said.public || said.must_revalidate || said.s_maxage.is_there();
    let sets_cookie = headers.contains_key(header::SET_COOKIE) && !withheld.contains(&header::SET_COOKIE);
    if !is_whole(status) || (said.must_understand && !understood) {
        Some(Refusal::Status)
    } else if concerns_its_request(status) {
        Some(Refusal::Request)
    } else if said.no_store && !understood {
        Some(Refusal::NoStore)
    } else if said.private == Scope::Everything {
        Some(Refusal::Private)
    } else if authorized && !shared {
        Some(Refusal::Authorization)
    } else if sets_cookie && !rules.set_cookie {
        Some(Refusal::SetCookie)
    } else {
        None
    }
}

/// Whether the status is final, and its response is a whole representation.
fn is_whole(status: StatusCode) -> bool {
    !status.is_informational() && !matches!(status, StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Whether a status is about the request or its client, and not about the resource: a malformed or too large field, a
/// rate limit, a negotiation or a condition that failed. Such a response is never stored, because one client causes it
/// and other clients would get it. RFC 6585 forbids storing 428, 429, 431 and 511. 403, 404 and 410 are about the
/// resource, and 414 is about its URI.
pub(crate) fn concerns_its_request(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        400 | 406..=408 | 411..=413 | 415..=417 | 421 | 422 | 425 | 426 | 428 | 429 | 431 | 451 | 511
    )
}

/// Whether this cache knows the caching rules of a status, which `must-understand` requires: the statuses of RFC 9110.
fn is_understood(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200..=205 | 300..=303 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 500..=505)
}

fn stale_terms(said: &ResponseDirectives, rules: &Rules) -> Terms {
    let no_cache = said.no_cache == Scope::Everything;
    let must_revalidate = said.must_revalidate || said.proxy_revalidate || said.s_maxage.is_there();
    let mut terms = Terms { no_cache, must_revalidate, ..Terms::default() };
    if !no_cache && !must_revalidate {
        terms.stale_while_revalidate = said.stale_while_revalidate.duration().unwrap_or_default();
        terms.stale_if_error = said.stale_if_error.duration().unwrap_or(rules.stale_on_error);
    }
    terms
}

/// Whether the response can be used at all by the origin's own directives: it is fresh for a while, may be served
/// stale, or can be revalidated.
fn is_useful(terms: &Terms, said: &ResponseDirectives, headers: &HeaderMap) -> bool {
    let stale = terms.stale_while_revalidate + said.stale_if_error.duration().unwrap_or_default();
    let served = terms.fresh_for > terms.initial_age || (!stale.is_zero() && !terms.must_revalidate);
    (served && !terms.no_cache) || has_validator(headers)
}

pub(super) fn has_validator(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ETAG) || headers.contains_key(header::LAST_MODIFIED)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, Lines};
    use super::*;

    fn judged(request: Lines<'_>, status: u16, response: Lines<'_>, rules: &Rules) -> Storing {
        let got = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        terms(&sample::request("GET", "/", request), &sample::response(status, response), rules, got, got)
    }

    fn refused(request: Lines<'_>, status: u16, response: Lines<'_>) -> Option<Refusal> {
        match judged(request, status, response, &Rules::default()) {
            Storing::No(refusal) => Some(refusal),
            Storing::Yes(_) => None,
        }
    }

    fn kept(response: Lines<'_>) -> Terms {
        match judged(&[], 200, response, &Rules { stale_on_error: Duration::from_secs(9), ..Rules::default() }) {
            Storing::Yes(terms) => terms,
            Storing::No(refusal) => panic!("{response:?} {refusal:?}"),
        }
    }

    #[test]
    fn what_the_answer_says() {
        let fresh = ("cache-control", "max-age=60");
        let cases: &[(Lines<'_>, Option<Refusal>)] = &[
            (&[], Some(Refusal::Useless)),
            (&[("etag", "\"a\"")], None),
            (&[("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")], None),
            (&[fresh], None),
            (&[("cache-control", "max-age=0")], Some(Refusal::Useless)),
            (&[("cache-control", "max-age=0"), ("etag", "\"a\"")], None),
            (&[("cache-control", "max-age=0, stale-while-revalidate=9")], None),
            (&[("cache-control", "max-age=0, stale-if-error=9")], None),
            (&[("cache-control", "max-age=0, stale-if-error=9, must-revalidate")], Some(Refusal::Useless)),
            (&[fresh, ("age", "60")], Some(Refusal::Useless)),
            (&[fresh, ("cache-control", "no-store")], Some(Refusal::NoStore)),
            (&[fresh, ("cache-control", "private")], Some(Refusal::Private)),
            (&[fresh, ("cache-control", "private=\"a\"")], None),
            (&[fresh, ("cache-control", "no-cache")], Some(Refusal::Useless)),
            (&[fresh, ("cache-control", "no-cache"), ("etag", "\"a\"")], None),
            (&[fresh, ("vary", "a"), ("vary", "*")], Some(Refusal::VaryAny)),
            (&[fresh, ("set-cookie", "a=b")], Some(Refusal::SetCookie)),
            (&[fresh, ("set-cookie", "a=b"), ("cache-control", "private=\"set-cookie\"")], None),
            (&[fresh, ("cdn-cache-control", "no-store")], Some(Refusal::NoStore)),
            (&[fresh, ("cdn-cache-control", "private")], Some(Refusal::Private)),
            (&[("cache-control", "no-store"), ("cdn-cache-control", "max-age=60")], None),
        ];
        for (response, expected) in cases {
            assert_eq!(refused(&[], 200, response), *expected, "{response:?}");
        }
    }

    #[test]
    fn statuses() {
        let fresh = ("cache-control", "max-age=60");
        for status in [200, 203, 204, 299, 302, 401, 403, 404, 405, 410, 414, 500, 503, 599] {
            assert_eq!(refused(&[], status, &[fresh]), None, "{status}");
        }
        for status in [400, 406, 413, 416, 428, 429, 431, 451, 511] {
            assert_eq!(refused(&[], status, &[fresh]), Some(Refusal::Request), "{status}");
        }
        for status in [100, 206, 304] {
            assert_eq!(refused(&[], status, &[fresh]), Some(Refusal::Status), "{status}");
        }
        assert_eq!(refused(&[], 500, &[("etag", "\"a\"")]), Some(Refusal::Useless));
        let must_understand = ("cache-control", "max-age=60, must-understand, no-store");
        assert_eq!(refused(&[], 599, &[must_understand]), Some(Refusal::Status));
        assert_eq!(refused(&[], 200, &[must_understand]), None);
    }

    #[test]
    fn requests() {
        let fresh = ("cache-control", "max-age=60");
        assert_eq!(refused(&[("cache-control", "no-store")], 200, &[fresh]), Some(Refusal::RequestNoStore));
        let authorized = &[("authorization", "a")];
        assert_eq!(refused(authorized, 200, &[fresh]), Some(Refusal::Authorization));
        for shared in ["public", "must-revalidate", "s-maxage=60"] {
            assert_eq!(refused(authorized, 200, &[fresh, ("cache-control", shared)]), None, "{shared}");
        }
        // A misspelt directive restricts and does not permit.
        for misspelt in
            ["must-revalidate; foo", "must_revalidate", "\"must-revalidate", "foo must-revalidate", "public;"]
        {
            let found = refused(authorized, 200, &[fresh, ("cache-control", misspelt)]);
            assert_eq!(found, Some(Refusal::Authorization), "{misspelt}");
        }
    }

    #[test]
    fn stale_only_where_it_is_not_forbidden() {
        let seconds = Duration::from_secs;
        let cases = [
            ("max-age=1", 0, 9),
            ("max-age=1, stale-while-revalidate=2, stale-if-error=3", 2, 3),
            ("max-age=1, stale-if-error=0", 0, 0),
            ("max-age=1, stale-while-revalidate=x, stale-if-error=x", 0, 0),
            ("max-age=1, must-revalidate, stale-while-revalidate=2, stale-if-error=3", 0, 0),
            ("max-age=1, proxy-revalidate", 0, 0),
            ("s-maxage=1, stale-while-revalidate=2", 0, 0),
            ("max-age=1, no-cache", 0, 0),
        ];
        for (line, revalidate, error) in cases {
            let terms = kept(&[("cache-control", line), ("etag", "\"a\"")]);
            assert_eq!(terms.stale_while_revalidate, seconds(revalidate), "{line}");
            assert_eq!(terms.stale_if_error, seconds(error), "{line}");
        }
    }

    #[test]
    fn terms_name_fields_and_groups() {
        let terms = kept(&[
            ("cache-control", "max-age=60, no-cache=\"a\", private=\"b\""),
            ("connection", "c"),
            ("c", "1"),
            ("vary", "Foo"),
            ("content-encoding", "gzip"),
            ("cache-groups", "\"g\""),
        ]);
        assert_eq!(terms.withheld, ["connection", "c", "a", "b"]);
        assert_eq!(terms.vary, ["accept-encoding", "foo"]);
        assert_eq!(terms.groups, ["g"]);
        assert!(!terms.no_cache);
    }
}
