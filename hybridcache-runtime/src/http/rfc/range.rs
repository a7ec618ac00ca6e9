//! `Range` on a whole stored body.

use std::ops::Range;
use std::time::Duration;

use http::{HeaderMap, header};

use super::{date, etag};

/// The part of a body that a `Range` field requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ranged {
    /// The whole body: there is no range, the range is not readable, has another unit, is one of several, or `If-Range`
    /// does not match.
    Whole,
    /// 206 with these bytes.
    Part(Range<u64>),
    /// 416: nothing of the body is in the range.
    Unsatisfiable,
}

/// Reads `Range` and `If-Range` of a GET. `length` is the length of the stored body.
pub(crate) fn wanted(request: &HeaderMap, stored: &HeaderMap, length: u64) -> Ranged {
    match asked(request) {
        Some(asked) if if_range_holds(request, stored) => asked.within(length),
        _ => Ranged::Whole,
    }
}

/// Whether the range can be cut out of the whole response without reading more than `limit` bytes in vain: there is one
/// range, and it begins within them. `false` if there is no range.
pub(crate) fn is_near(request: &HeaderMap, limit: u64) -> bool {
    !request.contains_key(header::RANGE) || matches!(asked(request), Some(Asked::Between(first, _)) if first <= limit)
}

fn asked(request: &HeaderMap) -> Option<Asked> {
    let mut lines = request.get_all(header::RANGE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    parse(line.as_bytes())
}

/// `If-Range` matches by a strong tag, or by a date that is exactly `Last-Modified` and is strong itself, which means
/// at least a second before `Date`.
fn if_range_holds(request: &HeaderMap, stored: &HeaderMap) -> bool {
    let Some(validator) = request.get(header::IF_RANGE) else { return true };
    if stored.get(header::ETAG).is_some_and(|tag| etag::same_strong(tag.as_bytes(), validator.as_bytes())) {
        return true;
    }
    let modified = date::of(stored, &header::LAST_MODIFIED);
    let sent = date::of(stored, &header::DATE);
    let strong =
        modified.zip(sent).is_some_and(|(modified, sent)| date::between(modified, sent) >= Duration::from_secs(1));
    strong && date::of(request, &header::IF_RANGE) == modified
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// From the first to the last, both included.
    Between(u64, u64),
    /// So many bytes from the end.
    Last(u64),
}

impl Asked {
    fn within(self, length: u64) -> Ranged {
        match self {
            Asked::Between(first, _) if first >= length => Ranged::Unsatisfiable,
            Asked::Between(first, last) => Ranged::Part(first..last.saturating_add(1).min(length)),
            Asked::Last(count) if count == 0 || length == 0 => Ranged::Unsatisfiable,
            Asked::Last(count) => Ranged::Part(length.saturating_sub(count)..length),
        }
    }
}

/// One range of bytes.
fn parse(line: &[u8]) -> Option<Asked> {
    let (unit, range) = std::str::from_utf8(line).ok()?.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    match (first, last) {
        ("", count) => Some(Asked::Last(position(count)?)),
        (first, "") => Some(Asked::Between(position(first)?, u64::MAX)),
        (first, last) => {
            let (first, last) = (position(first)?, position(last)?);
            (first <= last).then_some(Asked::Between(first, last))
        }
    }
}

/// Digits only. A number that is too large is beyond any body.
fn position(digits: &str) -> Option<u64> {
    let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::StatusCode;

    use super::super::sample::{Lines, headers};
    use super::super::store::Terms;
    use super::super::stored::Stored;
    use super::*;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn check(request: Lines<'_>, response: Lines<'_>, length: u64, expected: &Ranged) {
        let got = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let stored = Stored::from_parts(StatusCode::OK, headers(response), Terms::default(), got);
        assert_eq!(wanted(&headers(request), &stored.headers, length), *expected, "{request:?} {response:?}");
    }

    #[test]
    fn one_range_of_bytes() {
        use Ranged::{Part, Unsatisfiable, Whole};
        for (line, expected) in [
            ("bytes=0-1", Part(0..2)),
            ("BYTES=0-0", Part(0..1)),
            ("bytes= 2-4 ", Part(2..5)),
            ("bytes=3-", Part(3..10)),
            ("bytes=3-99", Part(3..10)),
            ("bytes=3-99999999999999999999999", Part(3..10)),
            ("bytes=-1", Part(9..10)),
            ("bytes=-99", Part(0..10)),
            ("bytes=10-", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=0-1,3-4", Whole),
            ("bytes=4-3", Whole),
            ("bytes=-", Whole),
            ("bytes=a-b", Whole),
            ("bytes=+1-2", Whole),
            ("bytes", Whole),
            ("lines=0-1", Whole),
            ("", Whole),
        ] {
            check(&[("range", line)], &[], 10, &expected);
        }
        check(&[], &[], 10, &Whole);
        check(&[("range", "bytes=0-1"), ("range", "bytes=2-3")], &[], 10, &Whole);
        check(&[("range", "bytes=0-")], &[], 0, &Unsatisfiable);
        check(&[("range", "bytes=-1")], &[], 0, &Unsatisfiable);
    }

    #[test]
    fn only_of_what_the_client_has() {
        let tagged = &[("etag", "\"a\""), ("last-modified", BEFORE)][..];
        for (validator, response, holds) in [
            ("\"a\"", tagged, true),
            ("\"b\"", tagged, false),
            ("W/\"a\"", &[("etag", "W/\"a\"")], false),
            (BEFORE, tagged, true),
            (DATE, tagged, false),
            (DATE, &[("last-modified", DATE)], false),
            ("foo", &[], false),
        ] {
            let expected = if holds { Ranged::Part(0..2) } else { Ranged::Whole };
            check(&[("range", "bytes=0-1"), ("if-range", validator)], response, 10, &expected);
        }
    }

    #[test]
    fn ranges_that_begin_within_the_limit_are_near() {
        for (lines, expected) in [
            (&[][..], true),
            (&["bytes=0-"], true),
            (&["bytes=10-20"], true),
            (&["bytes=11-20"], false),
            (&["bytes=-5"], false),
            (&["bytes=0-1,3-4"], false),
            (&["lines=0-1"], false),
            (&["bytes=0-1", "bytes=0-1"], false),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| ("range", *line)).collect();
            assert_eq!(is_near(&headers(&lines), 10), expected, "{lines:?}");
        }
    }
}
