//! `Vary`: which requests get the same response.

use http::{HeaderMap, HeaderName, header};

use super::fields;

/// The content of a `Vary` field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Vary {
    /// `*`: no two requests agree.
    Any,
    /// The fields that must agree, sorted and without duplicates; empty without `Vary`.
    On(Vec<HeaderName>),
}

/// Reads all lines of `Vary`. A line that is not readable counts as `*`.
///
/// An encoded response varies on `Accept-Encoding` even if `Vary` does not name it: a client that cannot decode it must
/// not get it.
pub(crate) fn of(response: &HeaderMap) -> Vary {
    let named: Option<Vec<_>> = fields::members(response, &header::VARY)
        .map(|name| if name == b"*" { None } else { HeaderName::from_bytes(name).ok() })
        .collect();
    let Some(mut named) = named else { return Vary::Any };
    if is_encoded(response) {
        named.push(header::ACCEPT_ENCODING);
    }
    named.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    named.dedup();
    Vary::On(named)
}

fn is_encoded(response: &HeaderMap) -> bool {
    fields::members(response, &header::CONTENT_ENCODING).any(|coding| !coding.eq_ignore_ascii_case(b"identity"))
}

/// The secondary key: the values of `fields` in a request, normalised and unambiguous. Two requests agree if these
/// bytes are equal.
///
/// Lines are joined, and space around commas is removed; languages and encodings are compared without case. The order
/// of the members is kept, because many servers take it for a preference. An absent field differs from an empty one.
pub(crate) fn key(fields: &[HeaderName], request: &HeaderMap) -> Vec<u8> {
    let mut key = Vec::new();
    for name in fields {
        part(&mut key, name.as_str().as_bytes());
        key.push(u8::from(request.contains_key(name)));
        part(&mut key, &normalised(request, name));
    }
    key
}

fn part(key: &mut Vec<u8>, bytes: &[u8]) {
    key.extend((bytes.len() as u64).to_le_bytes());
    key.extend(bytes);
}

fn normalised(request: &HeaderMap, name: &HeaderName) -> Vec<u8> {
    let members: Vec<_> = fields::members(request, name).collect();
    let value = members.join(&b","[..]);
    if [header::ACCEPT_LANGUAGE, header::ACCEPT_ENCODING].contains(name) { value.to_ascii_lowercase() } else { value }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Lines, headers};
    use super::*;

    #[test]
    fn star_anywhere_is_star() {
        for lines in [&["*"][..], &["*, *"], &["*", "*"], &[", *"], &["", "*"], &["*, Foo"], &["Foo, *"], &["foo bar"]]
        {
            let lines: Vec<_> = lines.iter().map(|line| ("vary", *line)).collect();
            assert_eq!(of(&headers(&lines)), Vary::Any, "{lines:?}");
        }
    }

    #[test]
    fn names_are_sorted_and_once() {
        let on = |names: &[&str]| Vary::On(names.iter().map(|name| name.parse().unwrap()).collect());
        assert_eq!(of(&headers(&[])), on(&[]));
        assert_eq!(of(&headers(&[("vary", "")])), on(&[]));
        assert_eq!(of(&headers(&[("vary", "Foo, bar"), ("vary", "BAR")])), on(&["bar", "foo"]));
        assert_eq!(of(&headers(&[("content-encoding", "gzip")])), on(&["accept-encoding"]));
        assert_eq!(of(&headers(&[("content-encoding", "Identity")])), on(&[]));
        assert_eq!(of(&headers(&[("vary", "Accept-Encoding"), ("content-encoding", "br")])), on(&["accept-encoding"]));
    }

    #[test]
    fn keys() {
        let key = |names: &[&str], lines: Lines<'_>| {
            let names: Vec<_> = names.iter().map(|name| name.parse().unwrap()).collect();
            super::key(&names, &headers(lines))
        };
        let on = ["accept-language", "foo"];
        let same: &[[Lines<'_>; 2]] = &[
            [&[], &[("other", "1")]],
            [&[("foo", "1, 2")], &[("foo", "1"), ("foo", "2")]],
            [&[("foo", "1,2")], &[("foo", " 1, 2 ")]],
            [&[("accept-language", "en, DE")], &[("accept-language", "EN ,  de")]],
        ];
        for [one, other] in same {
            assert_eq!(key(&on, one), key(&on, other), "{one:?} {other:?}");
        }
        let different: &[[Lines<'_>; 2]] = &[
            [&[], &[("foo", "")]],
            [&[("foo", "1")], &[("foo", "2")]],
            [&[("foo", "1")], &[("foo", "1"), ("foo", "2")]],
            [&[("foo", "a")], &[("foo", "A")]],
            [&[("foo", "\"1, 2\"")], &[("foo", "\"1,2\"")]],
            [&[("foo", "en")], &[("accept-language", "en")]],
            [&[("accept-language", "en, de")], &[("accept-language", "de, en")]],
        ];
        for [one, other] in different {
            assert_ne!(key(&on, one), key(&on, other), "{one:?} {other:?}");
        }
        assert_ne!(key(&["foo"], &[]), key(&["bar"], &[]));
    }
}
