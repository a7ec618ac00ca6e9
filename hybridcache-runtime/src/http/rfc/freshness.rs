//! How long a response is fresh.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};

use super::date;
use super::rules::Rules;
use super::targeted::Control;

/// The freshness lifetime (RFC 9111, 4.2.1): `s-maxage`, otherwise `max-age`, otherwise `Expires`, otherwise a
/// heuristic. A value that is present but not readable counts as zero.
pub(crate) fn lifetime(
    status: StatusCode,
    headers: &HeaderMap,
    control: &Control,
    rules: &Rules,
    got: SystemTime,
) -> Duration {
    explicit(headers, control, got).unwrap_or_else(|| heuristic(status, headers, control, rules, got))
}

/// The lifetime that the origin sets; `None` if it sets none.
pub(crate) fn explicit(headers: &HeaderMap, control: &Control, got: SystemTime) -> Option<Duration> {
    let said = &control.directives;
    said.s_maxage.duration().or(said.max_age.duration()).or_else(|| expires(headers, control, got))
}

fn expires(headers: &HeaderMap, control: &Control, got: SystemTime) -> Option<Duration> {
    if control.targeted || !headers.contains_key(header::EXPIRES) {
        return None;
    }
    let end = date::of(headers, &header::EXPIRES);
    Some(end.map_or(Duration::ZERO, |end| date::between(made(headers, got), end)))
}

/// A tenth of the time since the last modification, for the statuses that the standard allows, or if the response has
/// `public`.
fn heuristic(status: StatusCode, headers: &HeaderMap, control: &Control, rules: &Rules, got: SystemTime) -> Duration {
    if !allows_heuristic(status) && !control.directives.public {
        return Duration::ZERO;
    }
    let modified = date::of(headers, &header::LAST_MODIFIED);
    let unchanged = modified.map_or(Duration::ZERO, |modified| date::between(modified, made(headers, got)));
    (unchanged / 10).min(rules.heuristic)
}

/// The statuses that are cacheable by default (RFC 9110, 15.1), except 206, which is not stored.
pub(crate) fn allows_heuristic(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// The time at which the origin made the response: `Date`, or the time of arrival.
fn made(headers: &HeaderMap, got: SystemTime) -> SystemTime {
    date::of(headers, &header::DATE).unwrap_or(got)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, Lines};
    use super::*;

    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const HOUR_LATER: &str = "Sun, 06 Nov 1994 09:49:37 GMT";
    const DAY_BEFORE: &str = "Sat, 05 Nov 1994 08:49:37 GMT";

    fn check(status: u16, lines: Lines<'_>, expected: u64) {
        let headers = sample::headers(lines);
        let rules = Rules::default();
        let control = Control::of(&headers, &rules);
        let got = httpdate::parse_http_date(NOW).unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(
            lifetime(status, &headers, &control, &rules, got),
            Duration::from_secs(expected),
            "{status} {lines:?}"
        );
    }

    #[test]
    fn the_most_specific_counts() {
        check(200, &[], 0);
        check(200, &[("cache-control", "max-age=60")], 60);
        check(200, &[("cache-control", "max-age=60, s-maxage=1")], 1);
        check(200, &[("cache-control", "s-maxage=600, max-age=0"), ("expires", DAY_BEFORE)], 600);
        check(200, &[("cache-control", "max-age=60"), ("expires", "0")], 60);
        check(200, &[("cache-control", "max-age=0"), ("expires", HOUR_LATER)], 0);
        check(200, &[("cache-control", "max-age=x"), ("expires", HOUR_LATER)], 0);
        check(200, &[("cdn-cache-control", "max-age=5"), ("cache-control", "max-age=60")], 5);
        check(200, &[("cdn-cache-control", "public"), ("expires", HOUR_LATER)], 0);
    }

    #[test]
    fn expires_counts_from_date() {
        check(200, &[("expires", HOUR_LATER)], 3600);
        check(200, &[("expires", HOUR_LATER), ("date", HOUR_LATER)], 0);
        check(200, &[("expires", NOW), ("date", DAY_BEFORE)], 24 * 3600);
        check(200, &[("expires", HOUR_LATER), ("date", "foo")], 3600);
        check(200, &[("expires", "0"), ("last-modified", DAY_BEFORE)], 0);
        check(200, &[("expires", HOUR_LATER), ("expires", DAY_BEFORE)], 0);
    }

    #[test]
    fn heuristic_where_nothing_is_said() {
        for status in [200, 203, 204, 301, 404, 405, 410, 414, 501] {
            check(status, &[("last-modified", DAY_BEFORE)], 8640);
        }
        for status in [201, 202, 302, 403, 500, 502, 503, 504, 599] {
            check(status, &[("last-modified", DAY_BEFORE)], 0);
        }
        check(599, &[("last-modified", DAY_BEFORE), ("cache-control", "public")], 8640);
        check(200, &[("last-modified", "Sun, 06 Nov 1904 08:49:37 GMT")], 0);
        check(200, &[("last-modified", "Thu, 06 Nov 1980 08:49:37 GMT")], 24 * 3600);
        check(200, &[("last-modified", HOUR_LATER)], 0);
    }
}
