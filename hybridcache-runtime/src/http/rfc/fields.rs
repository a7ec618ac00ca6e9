//! Lists, tokens and strings in fields.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};

/// The members of a list field over all its lines, trimmed; empty ones are skipped.
pub(crate) fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).iter().flat_map(|line| split(line.as_bytes()))
}

/// The members of one line, trimmed; empty ones are skipped. A comma in a quoted string does not separate members. A
/// comma after a quote without an end does, so that such a quote cannot hide a directive.
pub(crate) fn split(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let end = member_end(line);
        rest = line.get(end + 1..);
        Some(line[..end].trim_ascii())
    })
    .filter(|member| !member.is_empty())
}

fn member_end(line: &[u8]) -> usize {
    let mut at = 0;
    while at < line.len() {
        match line[at] {
            b',' => return at,
            b'"' => at = string_end(line, at).unwrap_or(at),
            _ => {}
        }
        at += 1;
    }
    line.len()
}

/// The end of the string that begins with the quote at `start`.
fn string_end(line: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    while at < line.len() {
        match line[at] {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// A token as it is, or the content of a quoted string. `None` for anything else.
pub(crate) fn word(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    if is_token(value) {
        return Some(Cow::Borrowed(value));
    }
    if value.first() != Some(&b'"') || string_end(value, 0)? + 1 != value.len() {
        return None;
    }
    let inner = &value[1..value.len() - 1];
    if !inner.contains(&b'\\') {
        return Some(Cow::Borrowed(inner));
    }
    let mut said = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        said.extend(if byte == b'\\' { bytes.next() } else { Some(&byte) });
    }
    Some(Cow::Owned(said))
}

pub(crate) fn is_token(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// The greatest number of seconds that this cache distinguishes. RFC 9111 requires it for greater numbers.
pub(crate) const MOST_SECONDS: u64 = 1 << 31;

/// `delta-seconds`: digits only. A greater number becomes [`MOST_SECONDS`].
pub(crate) fn seconds(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(value.iter().fold(0, add).min(MOST_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_commas_outside_strings() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            (" , ,", &[]),
            ("a,b , c", &["a", "b", "c"]),
            (r#"a="x, y", b"#, &[r#"a="x, y""#, "b"]),
            (r#"a="x\", y", b"#, &[r#"a="x\", y""#, "b"]),
            (r#"a="xyz\\,", b"#, &[r#"a="xyz\\,""#, "b"]),
            // An open string must not hide the rest.
            (r#"a="x, no-store"#, &[r#"a="x"#, "no-store"]),
            (r#"a="x\"#, &[r#"a="x\"#]),
        ];
        for (line, expected) in cases {
            let members: Vec<_> = split(line.as_bytes()).map(|member| std::str::from_utf8(member).unwrap()).collect();
            assert_eq!(&members, expected, "{line}");
        }
    }

    #[test]
    fn reads_words() {
        let cases: &[(&str, Option<&str>)] = &[
            ("abc", Some("abc")),
            (r#""a b""#, Some("a b")),
            (r#""a\"b""#, Some("a\"b")),
            (r#""""#, Some("")),
            ("", None),
            ("a b", None),
            (r#"""#, None),
            (r#""a"b"#, None),
            (r#""a\""#, None),
        ];
        for (value, expected) in cases {
            let said = word(value.as_bytes()).map(|said| String::from_utf8(said.into_owned()).unwrap());
            assert_eq!(said.as_deref(), *expected, "{value}");
        }
    }

    #[test]
    fn reads_seconds() {
        for (value, expected) in [
            ("0", Some(0)),
            ("003600", Some(3600)),
            ("99999999999999999999999", Some(MOST_SECONDS)),
            ("2147483649", Some(MOST_SECONDS)),
        ] {
            assert_eq!(seconds(value.as_bytes()), expected, "{value}");
        }
        for value in ["", "-1", "1.0", "+1", "a1", "1a", "'1'", "1 "] {
            assert_eq!(seconds(value.as_bytes()), None, "{value}");
        }
    }
}
