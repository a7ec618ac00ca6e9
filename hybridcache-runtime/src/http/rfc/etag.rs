//! Entity tags.

use http::{HeaderMap, HeaderName};

/// The tags of a list such as `If-None-Match`, over all lines. A tag contains no escapes.
pub(crate) fn listed<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).iter().flat_map(|line| {
        let mut quoted = false;
        line.as_bytes()
            .split(move |&byte| {
                quoted ^= byte == b'"';
                byte == b',' && !quoted
            })
            .map(<[u8]>::trim_ascii)
    })
}

/// Whether two tags identify equivalent representations.
pub(crate) fn same_weak(one: &[u8], other: &[u8]) -> bool {
    opaque(one) == opaque(other)
}

/// Whether two tags identify the same bytes.
pub(crate) fn same_strong(one: &[u8], other: &[u8]) -> bool {
    !is_weak(one) && one == other
}

pub(crate) fn is_weak(tag: &[u8]) -> bool {
    tag.starts_with(b"W/")
}

fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use http::header::IF_NONE_MATCH;

    use super::*;

    #[test]
    fn lists() {
        let headers: HeaderMap =
            [r#""a", W/"b,c" ,"d\","e""#, "f"].into_iter().map(|line| (IF_NONE_MATCH, line.parse().unwrap())).collect();
        let tags: Vec<_> = listed(&headers, &IF_NONE_MATCH).map(|tag| std::str::from_utf8(tag).unwrap()).collect();
        assert_eq!(tags, [r#""a""#, r#"W/"b,c""#, r#""d\""#, r#""e""#, "f"]);
    }

    #[test]
    fn comparisons() {
        for (one, other, strong, weak) in [
            (r#"W/"1""#, r#"W/"1""#, false, true),
            (r#"W/"1""#, r#"W/"2""#, false, false),
            (r#"W/"1""#, r#""1""#, false, true),
            (r#""1""#, r#""1""#, true, true),
        ] {
            assert_eq!(same_strong(one.as_bytes(), other.as_bytes()), strong, "{one} {other}");
            assert_eq!(same_weak(one.as_bytes(), other.as_bytes()), weak, "{one} {other}");
        }
    }
}
