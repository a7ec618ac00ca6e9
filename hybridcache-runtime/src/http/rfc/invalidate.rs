//! The URIs that an unsafe request invalidates.

use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Uri, header, request, response};
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use super::spelling;

/// The bytes that a URI contains only escaped. A server that writes one unescaped means the same URI, and browsers
/// understand it so.
const ESCAPED: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');

/// Whether a method is known to change nothing: the safe methods of IANA's registry. An unknown method is unsafe.
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PROPFIND" | "REPORT" | "SEARCH" | "QUERY" | "PRI")
}

/// The URIs whose stored responses an unsafe request makes void: its own, and those of the same origin that `Location`
/// and `Content-Location` name. Empty if the response is an error (4xx, 5xx) or the method is safe.
///
/// The URIs have the form of the request's URI (path and query only, or absolute), so that they make the same keys.
pub(crate) fn targets(request: &request::Parts, response: &response::Parts) -> Vec<Uri> {
    if is_safe(&request.method) || !(response.status.is_success() || response.status.is_redirection()) {
        return Vec::new();
    }
    let mut targets = vec![request.uri.clone()];
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        let named = response.headers.get(name).and_then(|reference| resolve(request, reference));
        targets.extend(named.filter(|target| *target != request.uri));
    }
    targets
}

/// The target of a reference, if it has the same origin.
fn resolve(request: &request::Parts, reference: &HeaderValue) -> Option<Uri> {
    let reference = percent_encode(reference.as_bytes(), ESCAPED).to_string().replace('\\', "/");
    let reference = reference.split('#').next()?;
    let path_and_query = match authority_of(reference) {
        Some(authority) => {
            let rest = &reference[authority.end..];
            same_authority(request, &reference[authority]).then_some(())?;
            if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") }
        }
        None => relative(request.uri.path(), request.uri.query(), reference),
    };
    let mut parts = request.uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    Uri::from_parts(parts).ok()
}

/// The range of the authority in `http://authority/…` or `//authority/…`.
fn authority_of(reference: &str) -> Option<std::ops::Range<usize>> {
    let start = ["http://", "https://", "//"]
        .into_iter()
        .find(|start| reference.get(..start.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(start)))?;
    let length = reference[start.len()..].find(['/', '?']).unwrap_or(reference.len() - start.len());
    Some(start.len()..start.len() + length)
}

/// Whether an authority is the request's own, by its URI or `Host`, in any spelling.
fn same_authority(request: &request::Parts, authority: &str) -> bool {
    let host = request.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let own = request.uri.authority().map(|own| own.as_str()).or(host);
    own.is_some_and(|own| spelling::authority(own) == spelling::authority(authority))
}

/// RFC 3986, 5.2, for a reference without an authority.
fn relative(path: &str, query: Option<&str>, reference: &str) -> String {
    if reference.is_empty() {
        return query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    }
    let (target, asked) = reference.split_at(reference.find('?').unwrap_or(reference.len()));
    let folder = &path[..path.rfind('/').map_or(0, |at| at + 1)];
    let merged = match target.bytes().next() {
        None => return format!("{path}{asked}"),
        Some(b'/') => target.to_owned(),
        Some(_) => format!("{folder}{target}"),
    };
    without_dots(&merged) + asked
}

/// Removes `.` and `..` segments, as a client that follows the reference does.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<_> = path.trim_start_matches('/').split('/').collect();
    for (at, segment) in segments.iter().enumerate() {
        let last = at + 1 == segments.len();
        match *segment {
            "." if last => kept.push(""),
            "." => {}
            ".." => {
                kept.pop();
                if last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Lines, request, response};

    fn targets(method: &str, uri: &str, status: u16, lines: Lines<'_>) -> Vec<String> {
        let found = super::targets(&request(method, uri, &[("host", "Example.com")]), &response(status, lines));
        found.into_iter().map(|uri| uri.to_string()).collect()
    }

    #[test]
    fn unsafe_requests_that_did_not_fail() {
        for (method, status, void) in [
            ("POST", 200, true),
            ("PUT", 204, true),
            ("DELETE", 303, true),
            ("M-SEARCH", 200, true),
            ("POST", 404, false),
            ("POST", 500, false),
            ("GET", 200, false),
            ("HEAD", 200, false),
            ("OPTIONS", 200, false),
        ] {
            let expected: &[&str] = if void { &["/a?b"] } else { &[] };
            assert_eq!(targets(method, "/a?b", status, &[]), expected, "{method} {status}");
        }
    }

    #[test]
    fn what_the_answer_names() {
        for (reference, expected) in [
            ("/x?y", Some("/x?y")),
            ("/x#y", Some("/x")),
            ("x", Some("/a/x")),
            (".", Some("/a/")),
            ("../x", Some("/x")),
            ("../../../x/./y/..", Some("/x/")),
            ("?y", Some("/a/b?y")),
            ("http://example.com/x", Some("/x")),
            ("HTTPS://EXAMPLE.COM:443/x", Some("/x")),
            ("//example.com?y", Some("/?y")),
            ("http://example.com", Some("/")),
            ("http://example.com:8080/x", None),
            ("http://other.com/x", None),
            ("//other.com/x", None),
            ("http://example.com@other.com/x", None),
            // References to a URI that is void anyway.
            ("/a/b?c", None),
            ("", None),
            // Other spellings of the same reference.
            ("/\u{fc} x", Some("/%C3%BC%20x")),
            ("\\x", Some("/x")),
            ("http://EXAMPLE.com.:80/x", Some("/x")),
            ("//example.com:/x", Some("/x")),
            ("/%c3%bc", Some("/%c3%bc")),
            ("\\\\other.com/x", None),
        ] {
            for name in ["location", "content-location"] {
                let expected = ["/a/b?c"].into_iter().chain(expected).collect::<Vec<_>>();
                assert_eq!(targets("POST", "/a/b?c", 201, &[(name, reference)]), expected, "{name} {reference}");
            }
        }
        let both = targets("PUT", "/a", 201, &[("location", "/b"), ("content-location", "/c")]);
        assert_eq!(both, ["/a", "/b", "/c"]);
    }

    #[test]
    fn absolute_stays_absolute() {
        let found =
            targets("POST", "https://h/a", 200, &[("location", "/b"), ("content-location", "http://example.com/c")]);
        assert_eq!(found, ["https://h/a", "https://h/b"]);
    }
}
