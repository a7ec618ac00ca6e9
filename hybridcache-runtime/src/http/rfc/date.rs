//! Dates of HTTP.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The date in a field, in any of the three forms. `None` if there is no such field, if a line is no date, or if the
/// lines differ.
pub(crate) fn of(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let mut lines = headers.get_all(name).iter().map(read);
    let first = lines.next()??;
    lines.all(|other| other == Some(first)).then_some(first)
}

/// In any case of letters: RFC 9111 (4.2) requires that of caches, and only of caches.
fn read(value: &HeaderValue) -> Option<SystemTime> {
    let text = value.to_str().ok()?;
    httpdate::parse_http_date(text).or_else(|_| httpdate::parse_http_date(&usual_case(text))).ok()
}

/// `Sun`, `Nov`, `GMT`.
fn usual_case(text: &str) -> String {
    let mut usual = String::with_capacity(text.len());
    for letter in text.chars() {
        let begins = !usual.ends_with(|before: char| before.is_ascii_alphabetic());
        usual.push(if begins { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() });
    }
    usual.replace("Gmt", "GMT")
}

/// The date as a field's value. A time outside the range of dates becomes the nearest date.
pub(crate) fn value(at: SystemTime) -> HeaderValue {
    const LAST: u64 = 253_402_300_799;
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs().min(LAST);
    let text = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"))
}

/// The time from `earlier` to `later`; zero if `later` is before `earlier`.
pub(crate) fn between(earlier: SystemTime, later: SystemTime) -> Duration {
    later.duration_since(earlier).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::header::EXPIRES;

    use super::*;

    #[test]
    fn reads_what_the_lines_agree_on() {
        let good = "Sun, 06 Nov 1994 08:49:37 GMT";
        let at = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777));
        let cases: &[(&[&str], Option<SystemTime>)] = &[
            (&[], None),
            (&[good], at),
            (&["Sunday, 06-Nov-94 08:49:37 GMT"], at),
            (&["Sun Nov  6 08:49:37 1994"], at),
            (&["SUN, 06 nov 1994 08:49:37 gMt"], at),
            (&["sunday, 06-NOV-94 08:49:37 gmt"], at),
            (&["sun nov  6 08:49:37 1994"], at),
            (&["0"], None),
            (&["Sun, 06 Nov 1994 08:49:37 UTC"], None),
            (&[good, "Sun Nov  6 08:49:37 1994"], at),
            (&[good, "Sun, 06 Nov 1994 08:49:38 GMT"], None),
            (&[good, "0"], None),
        ];
        for (lines, expected) in cases {
            let mut headers = HeaderMap::new();
            for line in *lines {
                headers.append(EXPIRES, line.parse().unwrap());
            }
            assert_eq!(of(&headers, &EXPIRES), *expected, "{lines:?}");
        }
    }

    #[test]
    fn says_any_time() {
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert_eq!(value(far), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(value(SystemTime::UNIX_EPOCH - Duration::from_secs(9)), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
