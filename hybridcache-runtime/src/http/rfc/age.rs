//! `Age`: the age of a response.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, header};

use super::{date, fields};

/// The age of a response on arrival (RFC 9111, 4.2.3): the greater of the ages by `Date` and by `Age`. The time that
/// the request took is added to `Age`.
///
/// A response that has neither field comes from a handler that has just made it.
pub(crate) fn initial(headers: &HeaderMap, asked: SystemTime, got: SystemTime) -> Duration {
    let date = date::of(headers, &header::DATE);
    let said = said(headers);
    if date.is_none() && said.is_none() {
        return Duration::ZERO;
    }
    // `Date` has no fractions of a second, so they do not count as age.
    let apparent = date.map_or(Duration::ZERO, |date| Duration::from_secs(date::between(date, got).as_secs()));
    let corrected = said.unwrap_or_default() + date::between(asked, got);
    apparent.max(corrected)
}

/// The first member of the first line. A member that is no number is ignored.
fn said(headers: &HeaderMap) -> Option<Duration> {
    let line = headers.get(header::AGE)?.as_bytes();
    fields::split(line).next().and_then(fields::seconds).map(Duration::from_secs)
}

/// The field's value: the whole seconds that have passed.
pub(crate) fn value(age: Duration) -> HeaderValue {
    let seconds = age.as_secs().min(fields::MOST_SECONDS);
    let short = usize::try_from(seconds).ok().and_then(|seconds| FOUR_DIGITS.get(seconds));
    let skipped = match seconds {
        0..10 => 3,
        10..100 => 2,
        100..1000 => 1,
        _ => 0,
    };
    match short.and_then(|digits| str::from_utf8(&digits[skipped..]).ok()) {
        Some(digits) => HeaderValue::from_static(digits),
        None => HeaderValue::from(seconds),
    }
}

/// `0000` to `3599`: the ages of most responses, which then need no allocation (14 KiB of constants).
static FOUR_DIGITS: [[u8; 4]; 3600] = four_digits();

#[expect(clippy::cast_possible_truncation, reason = "a digit")]
const fn four_digits() -> [[u8; 4]; 3600] {
    let mut table = [[0; 4]; 3600];
    let mut at = 0;
    while at < table.len() {
        let digits = [at / 1000, at / 100 % 10, at / 10 % 10, at % 10];
        table[at] = [b'0' + digits[0] as u8, b'0' + digits[1] as u8, b'0' + digits[2] as u8, b'0' + digits[3] as u8];
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn made() -> SystemTime {
        httpdate::parse_http_date(MADE).unwrap()
    }

    fn headers(date: Option<&str>, ages: &[&str]) -> HeaderMap {
        let ages = ages.iter().map(|age| (header::AGE, age.parse().unwrap()));
        date.map(|date| (header::DATE, date.parse().unwrap())).into_iter().chain(ages).collect()
    }

    #[test]
    fn first_number_counts() {
        let cases: &[(&[&str], u64)] = &[
            (&[], 0),
            (&["7200"], 7200),
            (&["abc"], 0),
            (&["-7200"], 0),
            (&["7200.0"], 0),
            (&["7200;foo=bar"], 0),
            (&["7200,0"], 7200),
            (&["0, 7200"], 0),
            (&["7200", "0"], 7200),
            (&["0", "7200"], 0),
            (&["0, 0"], 0),
            (&["2147483649"], fields::MOST_SECONDS),
            (&["99999999999999999999999"], fields::MOST_SECONDS),
        ];
        for (ages, expected) in cases {
            let initial = initial(&headers(Some(MADE), ages), made(), made());
            assert_eq!(initial, Duration::from_secs(*expected), "{ages:?}");
        }
    }

    /// Killed by: a zero in front; a table that ends elsewhere.
    #[test]
    fn is_written_in_decimal() {
        for seconds in (0..4000).chain([9999, 10_000, 123_456, fields::MOST_SECONDS]) {
            assert_eq!(value(Duration::from_secs(seconds)), seconds.to_string(), "{seconds}");
        }
        assert_eq!(value(Duration::MAX), fields::MOST_SECONDS.to_string());
    }

    #[test]
    fn the_greater_of_both_counts() {
        let second = Duration::from_secs(1);
        let cases: &[(Option<&str>, &[&str], Duration)] = &[
            (Some(MADE), &[], 10 * second),
            (Some(MADE), &["3"], 10 * second),
            (Some(MADE), &["30"], 32 * second),
            (None, &["30"], 32 * second),
            // Made by the handler, however long the handler took.
            (None, &[], Duration::ZERO),
            (Some("foo"), &[], Duration::ZERO),
            // A clock that is ahead.
            (Some("Sun, 06 Nov 1994 09:49:37 GMT"), &["30"], 32 * second),
        ];
        let got = made() + 10 * second;
        for (date, ages, expected) in cases {
            assert_eq!(initial(&headers(*date, ages), got - 2 * second, got), *expected, "{date:?} {ages:?}");
        }
        assert_eq!(initial(&headers(Some(MADE), &["30"]), got + second, got), 30 * second, "the clock was set back");
    }
}
