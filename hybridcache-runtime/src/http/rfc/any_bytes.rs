//! Whatever bytes the fields contain, the rules do not panic, and restrictions still apply.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, request, response};
use proptest::prelude::*;

use super::freshen::Freshened;
use super::range::Ranged;
use super::status::Forward;
use super::*;

const FIELDS: [&str; 34] = [
    "age",
    "authorization",
    "cache-control",
    "cache-group-invalidation",
    "cache-groups",
    "cache-status",
    "cdn-cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-location",
    "content-type",
    "date",
    "etag",
    "expires",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "keep-alive",
    "last-modified",
    "location",
    "pragma",
    "range",
    "set-cookie",
    "accept-encoding",
    "accept-language",
    "transfer-encoding",
    "upgrade",
    "vary",
    "foo",
    "bar",
    "te",
];

/// Pieces of the grammars, so that more than the first byte is parsed.
const PIECES: [&str; 58] = [
    "no-store",
    "no-cache",
    "private",
    "public",
    "max-age",
    "s-maxage",
    "must-revalidate",
    "must-understand",
    "stale-while-revalidate",
    "stale-if-error",
    "max-stale",
    "min-fresh",
    "only-if-cached",
    "bytes",
    "=",
    "=",
    ",",
    ",",
    ";",
    "\"",
    "\"",
    "\\",
    "-",
    "-",
    " ",
    "\t",
    "*",
    "?1",
    "?",
    ":",
    "@",
    "%",
    "(",
    ")",
    ".",
    "/",
    "//",
    "..",
    "http://",
    "#",
    "0",
    "1",
    "60",
    "2147483648",
    "99999999999999999999999",
    "W/",
    "\"a\"",
    "a",
    "foo",
    "connection",
    "gzip",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sunday, 06-Nov-94 08:49:37 GMT",
    "Sun Nov  6 08:49:37 1994",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "\u{fc}",
    "\u{1F600}",
    "x y",
];

fn value() -> impl Strategy<Value = HeaderValue> {
    let pieces =
        prop::collection::vec(prop::sample::select(&PIECES[..]), 0..8).prop_map(|pieces| pieces.concat().into_bytes());
    let bytes = prop::collection::vec(any::<u8>(), 0..24);
    prop_oneof![4 => pieces, 1 => bytes].prop_filter_map("no field value", |bytes| HeaderValue::from_bytes(&bytes).ok())
}

fn headers() -> impl Strategy<Value = HeaderMap> {
    let line = (prop::sample::select(&FIELDS[..]).prop_map(HeaderName::from_static), value());
    prop::collection::vec(line, 0..10).prop_map(|lines| {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value);
        }
        headers
    })
}

fn request() -> impl Strategy<Value = request::Parts> {
    let method = prop::sample::select(vec!["GET", "GET", "GET", "HEAD", "POST", "M-SEARCH", "OPTIONS"]);
    let uri = prop::sample::select(vec!["/", "/a/b?c", "*", "http://h:80/a", "http://h", "h:1"]);
    (method, uri, headers()).prop_map(|(method, uri, headers)| {
        let (mut request, ()) =
            Request::builder().method(method).uri(Uri::from_static(uri)).body(()).unwrap().into_parts();
        request.headers = headers;
        request
    })
}

fn response() -> impl Strategy<Value = response::Parts> {
    let status = prop::sample::select(vec![100, 200, 200, 200, 204, 206, 301, 304, 404, 500, 599, 999]);
    (status, headers()).prop_map(|(status, headers)| {
        let (mut response, ()) = Response::builder().status(status).body(()).unwrap().into_parts();
        response.headers = headers;
        response
    })
}

/// Times around the dates above, at the end of the range of dates, and before its beginning.
fn time() -> impl Strategy<Value = SystemTime> {
    let seconds = prop_oneof![784_111_700..784_111_800u64, 0..100u64, 253_402_300_700..253_402_300_900u64];
    (seconds, any::<bool>()).prop_map(|(seconds, before)| {
        let since = Duration::from_millis(seconds * 999);
        if before { SystemTime::UNIX_EPOCH.checked_sub(since).unwrap() } else { SystemTime::UNIX_EPOCH + since }
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    (any::<bool>(), 0..100u64).prop_map(|(set_cookie, stale)| Rules {
        set_cookie,
        stale_on_error: Duration::from_secs(stale),
        ..Rules::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_panics(
        request in request(), other in request(), response in response(), later in response(),
        asked in time(), got in time(), now in time(), length in any::<u64>(), rules in rules(),
    ) {
        let asked_for = super::request::ask(&request, true);
        for uri in invalidate::targets(&request, &response) {
            prop_assert_eq!(uri.authority(), request.uri.authority());
        }
        groups::invalidated(&request, &response);
        CacheStatus { forward: Some(Forward::Miss), detail: Some(format!("{response:?}")), ..CacheStatus::default() }
            .append(&format!("{request:?}"), &mut HeaderMap::new());

        let Storing::Yes(terms) = store::terms(&request, &response, &rules, asked, got) else { return Ok(()) };
        prop_assert_eq!(vary::key(&terms.vary, &request.headers), vary::key(&terms.vary, &request.headers));
        vary::key(&terms.vary, &other.headers);
        let stored = Stored::new(&response, terms, got);
        prop_assert!(hop::names(&stored.headers).is_empty());
        prop_assert!(stored.age(now) >= stored.terms.initial_age);

        if let Asked::Lookup(wants) = asked_for {
            let found = reuse::decide(&stored, &wants, &stored.at(now));
            let stale = stored.at(now).fresh_for.is_zero();
            prop_assert!(found != Reuse::Fresh || !stale);
            prop_assert!(!reuse::forbids_stale(&stored) || !matches!(found, Reuse::MaxStale | Reuse::StaleWhileRevalidate));
            reuse::on_error(&stored, &wants, now);
        }
        for request in [&request, &other] {
            if let Ranged::Part(range) = range::wanted(&request.headers, &stored.headers, length) {
                prop_assert!(range.start < range.end && range.end <= length);
            }
            reply::answer(request, &stored, length, stored.age(now), true);
        }
        let mut conditional = other.headers.clone();
        prop_assert_eq!(conditional::revalidate(&stored, &mut conditional), stored.has_validator());
        match freshen::by_304(&stored, &other, &later, &rules, asked, now) {
            Freshened::Yes(fresh) | Freshened::YesButDrop(fresh, _) => {
                prop_assert_eq!(fresh.headers.get("content-length"), stored.headers.get("content-length"));
            }
            Freshened::No => {}
        }
        freshen::contradicted_by_head(&stored, &later);
    }

    #[test]
    fn what_forbids_is_not_forgotten(
        request in request(), mut response in response(), at in time(), rules in rules(),
        forbids in prop::sample::select(vec![("cache-control", "no-store"), ("cache-control", "private"), ("vary", "*"), ("set-cookie", "a=b")]),
        first in any::<bool>(),
    ) {
        let rules = Rules { targeted: Vec::new(), set_cookie: false, ..rules };
        // These two lift restrictions, and should.
        let lifts = |value: &HeaderValue| {
            let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
            value.contains("must-understand") || value.contains("set-cookie")
        };
        prop_assume!(!response.headers.values().any(lifts));
        let (name, line) = (HeaderName::from_static(forbids.0), HeaderValue::from_static(forbids.1));
        let mut lines: Vec<_> = response.headers.get_all(&name).iter().cloned().collect();
        lines.insert(if first { 0 } else { lines.len() }, line);
        response.headers.remove(&name);
        for line in lines {
            response.headers.append(&name, line);
        }
        let storing = store::terms(&request, &response, &rules, at, at);
        prop_assert!(matches!(storing, Storing::No(_)), "{:?} {:?}", response, storing);
    }
}
