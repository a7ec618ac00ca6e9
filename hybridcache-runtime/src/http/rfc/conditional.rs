//! Conditional requests: the cache's to the origin, and the client's to the cache.

use http::{HeaderMap, HeaderName, StatusCode, header, request};

use super::stored::Stored;
use super::{date, etag};

/// Makes a request to the origin a revalidation of `stored`: `If-None-Match`, `If-Modified-Since`. The client's own
/// preconditions and `Range` are removed, because the cache needs the whole response. Returns `false` if the stored
/// response has no validator: then the preconditions are only removed.
pub(crate) fn revalidate(stored: &Stored, headers: &mut HeaderMap) -> bool {
    unconditional(headers);
    for (validator, condition) in
        [(header::ETAG, header::IF_NONE_MATCH), (header::LAST_MODIFIED, header::IF_MODIFIED_SINCE)]
    {
        if let Some(value) = stored.headers.get(validator) {
            headers.insert(condition, value.clone());
        }
    }
    stored.has_validator()
}

/// Removes the client's preconditions and `Range` from a request whose response is to be stored. They are evaluated on
/// the response instead (`reply::answer`).
pub(crate) fn unconditional(headers: &mut HeaderMap) {
    const CONDITIONS: [HeaderName; 6] = [
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_UNMODIFIED_SINCE,
        header::IF_RANGE,
        header::RANGE,
    ];
    for name in CONDITIONS {
        headers.remove(name);
    }
}

/// Whether the client already has the stored response, so that a 304 is enough: `If-None-Match` (weak comparison, `*`),
/// otherwise `If-Modified-Since`. Only if the stored response is a success.
pub(crate) fn not_modified(request: &request::Parts, status: StatusCode, headers: &HeaderMap) -> bool {
    if !status.is_success() {
        return false;
    }
    if request.headers.contains_key(header::IF_NONE_MATCH) {
        return none_match_fails(&request.headers, headers);
    }
    let since = date::of(&request.headers, &header::IF_MODIFIED_SINCE);
    since.is_some_and(|since| modified(headers).is_some_and(|modified| modified <= since))
}

fn none_match_fails(request: &HeaderMap, stored: &HeaderMap) -> bool {
    let ours = stored.get(header::ETAG).map(|tag| tag.as_bytes());
    etag::listed(request, &header::IF_NONE_MATCH)
        .any(|tag| tag == b"*" || ours.is_some_and(|ours| etag::same_weak(tag, ours)))
}

/// `Last-Modified`. Without that field, the response was modified no later than it was sent.
fn modified(stored: &HeaderMap) -> Option<std::time::SystemTime> {
    date::of(stored, &header::LAST_MODIFIED).or_else(|| date::of(stored, &header::DATE))
}

/// Whether a request has preconditions that only the origin can evaluate (`If-Match`, `If-Unmodified-Since`).
pub(crate) fn is_for_the_origin(request: &HeaderMap) -> bool {
    request.contains_key(header::IF_MATCH) || request.contains_key(header::IF_UNMODIFIED_SINCE)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::super::sample::{self, Lines, headers};
    use super::super::store::Terms;
    use super::*;

    const BEFORE: &str = "Sat, 05 Nov 1994 08:49:37 GMT";
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Mon, 07 Nov 1994 08:49:37 GMT";

    fn stored(status: u16, lines: Lines<'_>) -> Stored {
        let got = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        Stored::from_parts(StatusCode::from_u16(status).unwrap(), headers(lines), Terms::default(), got)
    }

    #[test]
    fn revalidations_ask_about_what_is_stored() {
        let client = [
            ("if-none-match", "\"x\""),
            ("if-match", "\"x\""),
            ("if-range", "\"x\""),
            ("range", "bytes=0-1"),
            ("if-modified-since", DATE),
            ("if-unmodified-since", DATE),
            ("a", "1"),
        ];
        let check = |stored: Stored, has_validator: bool, expected: Lines<'_>| {
            let mut request = headers(&client);
            assert_eq!(revalidate(&stored, &mut request), has_validator);
            assert_eq!(request, headers(expected));
        };
        check(stored(200, &[]), false, &[("a", "1")]);
        check(stored(200, &[("etag", "W/\"y\"")]), true, &[("a", "1"), ("if-none-match", "W/\"y\"")]);
        check(
            stored(200, &[("etag", "\"y\""), ("last-modified", BEFORE)]),
            true,
            &[("a", "1"), ("if-none-match", "\"y\""), ("if-modified-since", BEFORE)],
        );
    }

    #[test]
    fn what_the_client_has() {
        let tagged = || stored(200, &[("etag", "\"abc\""), ("last-modified", DATE)]);
        let weak = || stored(200, &[("etag", "W/\"abc\"")]);
        let dated = || stored(200, &[("last-modified", DATE)]);
        let cases: &[(Stored, Lines<'_>, bool)] = &[
            (tagged(), &[], false),
            (tagged(), &[("if-none-match", "\"abc\"")], true),
            (tagged(), &[("if-none-match", "W/\"abc\"")], true),
            (tagged(), &[("if-none-match", "\"1\", \"abc\", \"2\"")], true),
            (tagged(), &[("if-none-match", "\"1\""), ("if-none-match", "\"abc\"")], true),
            (tagged(), &[("if-none-match", "*")], true),
            (tagged(), &[("if-none-match", "abc")], false),
            (tagged(), &[("if-none-match", "\"1\"")], false),
            // `If-None-Match` counts alone.
            (tagged(), &[("if-none-match", "\"1\""), ("if-modified-since", DATE)], false),
            (tagged(), &[("if-none-match", "\"abc\""), ("if-modified-since", BEFORE)], true),
            (weak(), &[("if-none-match", "\"abc\"")], true),
            (dated(), &[("if-none-match", "\"abc\"")], false),
            (dated(), &[("if-none-match", "*")], true),
            (dated(), &[("if-modified-since", BEFORE)], false),
            (dated(), &[("if-modified-since", DATE)], true),
            (dated(), &[("if-modified-since", AFTER)], true),
            (dated(), &[("if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT")], true),
            (dated(), &[("if-modified-since", "yesterday")], false),
            // The `Date` of the response is used.
            (stored(200, &[]), &[("if-modified-since", BEFORE)], false),
            (stored(200, &[]), &[("if-modified-since", AFTER)], true),
            (stored(404, &[("etag", "\"abc\"")]), &[("if-none-match", "\"abc\"")], false),
        ];
        for (stored, lines, expected) in cases {
            let request = sample::request("GET", "/", lines);
            assert_eq!(not_modified(&request, stored.status, &stored.headers), *expected, "{lines:?} {stored:?}");
        }
    }
}
