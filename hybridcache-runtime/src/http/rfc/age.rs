//! `Age`: how old an answer is.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, header};

use super::{date, fields};

/// How old an answer is on arrival (RFC 9111, 4.2.3): the greater of what `Date` and what `Age` say, the latter with the time that the
/// request took.
///
/// One that has neither comes from a handler that has just made it.
pub(crate) fn initial(headers: &HeaderMap, asked: SystemTime, got: SystemTime) -> Duration {
    let date = date::of(headers, &header::DATE);
    let said = said(headers);
    if date.is_none() && said.is_none() {
        return Duration::ZERO;
    }
    // `Date` has no fractions: they are nobody's age.
    let apparent = date.map_or(Duration::ZERO, |date| Duration::from_secs(date::between(date, got).as_secs()));
    let corrected = said.unwrap_or_default() + date::between(asked, got);
    apparent.max(corrected)
}

/// The first member of the first line; what is no number is ignored.
fn said(headers: &HeaderMap) -> Option<Duration> {
    let line = headers.get(header::AGE)?.as_bytes();
    fields::split(line).next().and_then(fields::seconds).map(Duration::from_secs)
}

/// As the field says it: whole seconds that have passed.
pub(crate) fn value(age: Duration) -> HeaderValue {
    HeaderValue::from(age.as_secs().min(fields::MOST_SECONDS))
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

    #[test]
    fn the_greater_of_both_counts() {
        let second = Duration::from_secs(1);
        let cases: &[(Option<&str>, &[&str], Duration)] = &[
            (Some(MADE), &[], 10 * second),
            (Some(MADE), &["3"], 10 * second),
            (Some(MADE), &["30"], 32 * second),
            (None, &["30"], 32 * second),
            // Made by the handler, however long that took.
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
