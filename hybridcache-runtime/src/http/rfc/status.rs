//! `Cache-Status` (RFC 9211).

use std::fmt::Write;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::fields;

static CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Why a request went to the origin, by the tokens of the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forward {
    /// `bypass`: the cache does not handle the request.
    Bypass,
    /// `method`
    Method,
    /// `uri-miss`: nothing is stored for it.
    UriMiss,
    /// `vary-miss`: a response is stored for its URI, but it does not match.
    VaryMiss,
    /// `miss`: no stored response matches; whether one is stored for its URI is not known.
    Miss,
    /// `request`: the stored response is fresh, but the request does not accept it.
    Request,
    /// `stale`
    Stale,
}

impl Forward {
    /// The token in the field.
    pub(crate) fn token(self) -> &'static str {
        match self {
            Forward::Bypass => "bypass",
            Forward::Method => "method",
            Forward::UriMiss => "uri-miss",
            Forward::VaryMiss => "vary-miss",
            Forward::Miss => "miss",
            Forward::Request => "request",
            Forward::Stale => "stale",
        }
    }
}

/// The actions of this cache, as one member of the field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheStatus {
    /// The origin was not asked.
    pub(crate) hit: bool,
    pub(crate) forward: Option<Forward>,
    /// The origin's status, if the client gets another one (the origin sent a 304 to the cache's revalidation, or an
    /// error that a stale response replaces).
    pub(crate) forward_status: Option<StatusCode>,
    /// `Ok`: how long the response is still fresh. `Err`: how long it has been stale.
    pub(crate) ttl: Option<Result<Duration, Duration>>,
    pub(crate) stored: bool,
    pub(crate) collapsed: bool,
    /// Details for people, as any text.
    pub(crate) detail: Option<String>,
}

impl CacheStatus {
    /// Appends it under the cache's `name`, after the members of the caches nearer to the origin.
    pub(crate) fn append(&self, name: &str, headers: &mut HeaderMap) {
        // Only visible ASCII is written, so this cannot fail.
        if let Ok(value) = HeaderValue::try_from(self.member(name)) {
            headers.append(&CACHE_STATUS, value);
        }
    }

    fn member(&self, name: &str) -> String {
        let mut member = word(name);
        if self.hit {
            member.push_str("; hit");
        }
        if let Some(forward) = self.forward {
            // Writing to a String never fails.
            let _ = write!(member, "; fwd={}", forward.token());
        }
        if let Some(status) = self.forward_status {
            let _ = write!(member, "; fwd-status={}", status.as_u16());
        }
        if let Some(ttl) = self.ttl {
            let seconds = |span: Duration| i64::try_from(span.as_secs().min(fields::MOST_SECONDS)).unwrap_or_default();
            let _ = write!(member, "; ttl={}", ttl.map_or_else(|stale| -seconds(stale), seconds));
        }
        for (said, parameter) in [(self.stored, "; stored"), (self.collapsed, "; collapsed")] {
            member.push_str(if said { parameter } else { "" });
        }
        if let Some(detail) = &self.detail {
            let _ = write!(member, "; detail={}", word(detail));
        }
        member
    }
}

/// A token if the text is one, otherwise a string. A character that a string cannot contain becomes `?`.
fn word(text: &str) -> String {
    let starts = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '*');
    if starts && text.bytes().all(|byte| fields::is_token(&[byte]) || b":/".contains(&byte)) {
        return text.to_owned();
    }
    let mut string = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => string.extend(['\\', letter]),
            ' '..='~' => string.push(letter),
            _ => string.push('?'),
        }
    }
    string.push('"');
    string
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, status: &CacheStatus, expected: &str) {
        let mut headers = HeaderMap::new();
        status.append(name, &mut headers);
        assert_eq!(headers[&CACHE_STATUS], expected);
    }

    #[test]
    fn members() {
        let status = CacheStatus::default;
        check("app", &status(), "app");
        check(
            "app",
            &CacheStatus { hit: true, ttl: Some(Ok(Duration::from_millis(9900))), ..status() },
            "app; hit; ttl=9",
        );
        check(
            "app",
            &CacheStatus { hit: true, ttl: Some(Err(Duration::from_secs(9))), ..status() },
            "app; hit; ttl=-9",
        );
        check("app", &CacheStatus { ttl: Some(Err(Duration::from_millis(9))), ..status() }, "app; ttl=0");
        let revalidated = CacheStatus {
            forward: Some(Forward::Stale),
            forward_status: Some(StatusCode::NOT_MODIFIED),
            stored: true,
            collapsed: true,
            detail: Some("a \"b\" \u{fc}\r\n".to_owned()),
            ..status()
        };
        check(
            "my cache",
            &revalidated,
            r#""my cache"; fwd=stale; fwd-status=304; stored; collapsed; detail="a \"b\" ???""#,
        );
        check("", &CacheStatus { forward: Some(Forward::UriMiss), ..status() }, r#"""; fwd=uri-miss"#);
        check("9a", &CacheStatus { detail: Some("a/b:c".to_owned()), ..status() }, r#""9a"; detail=a/b:c"#);
    }

    #[test]
    fn stands_after_what_others_said() {
        let mut headers: HeaderMap =
            [(CACHE_STATUS.clone(), HeaderValue::from_static("origin; hit"))].into_iter().collect();
        CacheStatus { forward: Some(Forward::Bypass), ..CacheStatus::default() }.append("app", &mut headers);
        assert_eq!(headers.get_all(&CACHE_STATUS).iter().collect::<Vec<_>>(), ["origin; hit", "app; fwd=bypass"]);
    }
}
