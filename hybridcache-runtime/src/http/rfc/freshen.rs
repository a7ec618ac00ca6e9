//! Updates a stored response from a 304, or from the response to a HEAD.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, header, request, response};

use super::directives::RequestDirectives;
use super::rules::Rules;
use super::store::{self, Refusal, Storing, Terms};
use super::stored::Stored;
use super::{age, date, etag, hop};

/// The outcome for a stored response.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Freshened {
    /// The same body with an updated head.
    Yes(Stored),
    /// The response must not be stored any more: the requester gets it with the updated head, and the entry is dropped.
    YesButDrop(Stored, Refusal),
    /// The validators do not match: the 304 is about another response. The entry is dropped, and the origin is asked
    /// again without conditions.
    No,
}

/// Updates `stored` with the head of a 304 to the cache's revalidation.
pub(crate) fn by_304(
    stored: &Stored,
    request: &request::Parts,
    not_modified: &response::Parts,
    rules: &Rules,
    asked: SystemTime,
    got: SystemTime,
) -> Freshened {
    if !confirms(stored, &not_modified.headers) {
        return Freshened::No;
    }
    let headers = merged(&stored.headers, &not_modified.headers, got);
    let initial_age = age::initial(&not_modified.headers, asked, got);
    let authorized = request.headers.contains_key(header::AUTHORIZATION);
    let judged = if RequestDirectives::of(&request.headers).no_store {
        Storing::No(Refusal::RequestNoStore)
    } else {
        store::judge(stored.status, &headers, rules, initial_age, got, authorized)
    };
    match judged {
        Storing::Yes(terms) => Freshened::Yes(Stored::from_parts(stored.status, headers, terms, got)),
        Storing::No(refusal) => {
            let terms = Terms { initial_age, ..Terms::default() };
            Freshened::YesButDrop(Stored::from_parts(stored.status, headers, terms, got), refusal)
        }
    }
}

/// Whether a 304 is about the stored response. `ETag` alone decides if the 304 has one, otherwise `Last-Modified`. A
/// 304 without a validator is about the response that was asked about.
fn confirms(stored: &Stored, not_modified: &HeaderMap) -> bool {
    let ours = |name: &HeaderName| stored.headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
    if let Some(tag) = not_modified.get(header::ETAG).map(HeaderValue::as_bytes) {
        let same = if etag::is_weak(tag) { etag::same_weak } else { etag::same_strong };
        return same(tag, ours(&header::ETAG));
    }
    match date::of(not_modified, &header::LAST_MODIFIED) {
        Some(modified) => date::of(&stored.headers, &header::LAST_MODIFIED).is_none_or(|ours| ours == modified),
        None => true,
    }
}

/// The stored fields, replaced by those of the 304. The fields that describe the stored body are kept (RFC 9111, 3.2).
fn merged(stored: &HeaderMap, not_modified: &HeaderMap, got: SystemTime) -> HeaderMap {
    const OF_THE_BODY: [&str; 8] = [
        "content-length",
        "content-encoding",
        "content-range",
        "content-md5",
        "content-digest",
        "repr-digest",
        "digest",
        "etag",
    ];
    let hop = hop::names(not_modified);
    let mut headers = stored.clone();
    headers.remove(header::AGE);
    headers.insert(header::DATE, date::value(got));
    for name in not_modified.keys().filter(|name| !hop.contains(name) && !OF_THE_BODY.contains(&name.as_str())) {
        headers.remove(name);
        for value in not_modified.get_all(name) {
            headers.append(name, value.clone());
        }
    }
    headers
}

/// Whether the response to a HEAD shows that the origin would now send another response than the stored one, which is
/// then stale.
pub(crate) fn contradicted_by_head(stored: &Stored, head: &response::Parts) -> bool {
    let differs = |name: HeaderName| {
        head.headers.get(&name).zip(stored.headers.get(&name)).is_some_and(|(said, stored)| said != stored)
    };
    head.status == stored.status
        && [header::ETAG, header::LAST_MODIFIED, header::CONTENT_LENGTH].into_iter().any(differs)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;

    use super::super::sample::{self, Lines, response};
    use super::*;

    const DAY: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const NEXT: &str = "Mon, 07 Nov 1994 08:49:37 GMT";

    fn time(text: &str) -> SystemTime {
        httpdate::parse_http_date(text).unwrap()
    }

    fn stored(lines: Lines<'_>) -> Stored {
        Stored::new(&response(200, lines), Terms::default(), time(DAY))
    }

    fn freshened(kept: Lines<'_>, request: Lines<'_>, not_modified: Lines<'_>) -> Freshened {
        let request = sample::request("GET", "/", request);
        by_304(&stored(kept), &request, &response(304, not_modified), &Rules::default(), time(NEXT), time(NEXT))
    }

    #[test]
    fn fields_are_replaced() {
        let kept = [
            ("cache-control", "max-age=1"),
            ("etag", "\"a\""),
            ("x", "1"),
            ("x", "2"),
            ("y", "3"),
            ("content-length", "5"),
            ("content-encoding", "gzip"),
        ];
        let said = [
            ("cache-control", "max-age=60"),
            ("x", "4"),
            ("x", "5"),
            ("z", "6"),
            ("content-length", "0"),
            ("content-encoding", "br"),
            ("connection", "hop"),
            ("hop", "7"),
            ("age", "8"),
            ("date", NEXT),
        ];
        let Freshened::Yes(fresh) = freshened(&kept, &[], &said) else { panic!() };
        let expected = [
            ("cache-control", "max-age=60"),
            ("etag", "\"a\""),
            ("x", "4"),
            ("x", "5"),
            ("y", "3"),
            ("z", "6"),
            ("content-length", "5"),
            ("content-encoding", "gzip"),
            ("age", "0"),
            ("date", NEXT),
        ];
        assert_eq!(fresh.headers, response(200, &expected).headers);
        assert_eq!((fresh.status, fresh.got), (StatusCode::OK, time(NEXT)));
        assert_eq!(fresh.at(time(NEXT)).fresh_for, Duration::from_secs(52));
    }

    #[test]
    fn only_what_it_is_about() {
        let cases: &[(Lines<'_>, Lines<'_>, bool)] = &[
            (&[("etag", "\"a\"")], &[], true),
            (&[("etag", "\"a\"")], &[("etag", "\"a\"")], true),
            (&[("etag", "\"a\"")], &[("etag", "\"b\"")], false),
            (&[("etag", "\"a\"")], &[("etag", "W/\"a\"")], true),
            (&[("etag", "W/\"a\"")], &[("etag", "W/\"a\"")], true),
            (&[("etag", "W/\"a\"")], &[("etag", "\"a\"")], false),
            (&[("last-modified", DAY)], &[("etag", "\"a\"")], false),
            (&[("last-modified", DAY)], &[("last-modified", DAY)], true),
            (&[("last-modified", DAY)], &[("last-modified", NEXT)], false),
            (&[("last-modified", DAY)], &[], true),
        ];
        for (kept, said, expected) in cases {
            let freshened = freshened(kept, &[], said);
            assert_eq!(freshened != Freshened::No, *expected, "{kept:?} {said:?} {freshened:?}");
        }
    }

    #[test]
    fn what_may_no_longer_be_kept_goes() {
        let kept = [("cache-control", "max-age=1"), ("etag", "\"a\"")];
        for (request, said, expected) in [
            (&[][..], ("cache-control", "no-store"), Refusal::NoStore),
            (&[], ("cache-control", "private, max-age=60"), Refusal::Private),
            (&[], ("set-cookie", "a=b"), Refusal::SetCookie),
            (&[], ("vary", "*"), Refusal::VaryAny),
            (&[("cache-control", "no-store")], ("x", "y"), Refusal::RequestNoStore),
            (&[("authorization", "a")], ("x", "y"), Refusal::Authorization),
        ] {
            let Freshened::YesButDrop(stored, refusal) = freshened(&kept, request, &[said, ("age", "8")]) else {
                panic!("{said:?}")
            };
            assert_eq!(stored.age(time(NEXT)), Duration::from_secs(8));
            assert_eq!((refusal, &stored.headers[said.0]), (expected, &said.1.parse::<HeaderValue>().unwrap()));
        }
    }

    #[test]
    fn heads() {
        let kept = [("etag", "\"a\""), ("content-length", "5")];
        for (status, said, expected) in [
            (200, &[][..], false),
            (200, &[("etag", "\"a\""), ("content-length", "5")], false),
            (200, &[("etag", "\"b\"")], true),
            (200, &[("content-length", "6")], true),
            (503, &[("content-length", "6")], false),
        ] {
            assert_eq!(contradicted_by_head(&stored(&kept), &response(status, said)), expected, "{said:?}");
        }
    }
}
