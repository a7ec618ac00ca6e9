//! Cache groups (RFC 9875).

use http::{HeaderMap, HeaderName, request, response};

use super::invalidate;
use super::structured::{self, Item};

static CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");
static CACHE_GROUP_INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");

/// `Cache-Groups`: the groups of a response within its origin. Empty if the field is not valid.
pub(crate) fn of(response: &HeaderMap) -> Vec<String> {
    strings(response, &CACHE_GROUPS).unwrap_or_default()
}

/// `Cache-Group-Invalidation` of a response to an unsafe request: the groups within its origin that are void from now
/// on. Empty if the method is safe.
pub(crate) fn invalidated(request: &request::Parts, response: &response::Parts) -> Vec<String> {
    if invalidate::is_safe(&request.method) {
        return Vec::new();
    }
    strings(&response.headers, &CACHE_GROUP_INVALIDATION).unwrap_or_default()
}

/// A list of Strings. `None` if any member has another type.
fn strings(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<String>> {
    let string = |item| match item {
        Item::String(said) => Some(said),
        _ => None,
    };
    structured::list(&structured::joined(headers, name)?)?.into_iter().map(string).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn groups_are_strings() {
        let cases: &[(&[&str], &[&str])] = &[
            (&[], &[]),
            (&[r#""a", "B c""#], &["a", "B c"]),
            (&[r#""a""#, r#""b";x=1"#], &["a", "b"]),
            (&[r#""a", b"#], &[]),
            (&[r#""a", 1"#], &[]),
            (&["\"a"], &[]),
        ];
        for (lines, expected) in cases {
            let headers = lines.iter().map(|line| (CACHE_GROUPS.clone(), line.parse().unwrap())).collect();
            assert_eq!(of(&headers), *expected, "{lines:?}");
        }
    }

    #[test]
    fn only_unsafe_requests_invalidate() {
        let response = sample::response(200, &[("cache-group-invalidation", r#""a", "b""#)]);
        for (method, expected) in [("POST", &["a", "b"][..]), ("M-SEARCH", &["a", "b"]), ("GET", &[]), ("OPTIONS", &[])]
        {
            assert_eq!(invalidated(&sample::request(method, "/", &[]), &response), expected, "{method}");
        }
    }
}
