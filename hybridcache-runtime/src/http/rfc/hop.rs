//! Fields that apply to one connection only.

use http::{HeaderMap, HeaderName, header};

use super::fields;

/// The fields that RFC 9110 (7.6.1) and RFC 9111 (3.1) name.
static KNOWN: [HeaderName; 10] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-authentication-info"),
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The hop-by-hop fields of a message: the known ones that it has, and those that `Connection` names.
pub(crate) fn names(headers: &HeaderMap) -> Vec<HeaderName> {
    let named = fields::members(headers, &header::CONNECTION).filter_map(|name| HeaderName::from_bytes(name).ok());
    KNOWN.iter().cloned().chain(named).filter(|name| headers.contains_key(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::headers;
    use super::*;

    #[test]
    fn known_and_named() {
        let lines = [
            ("connection", "A, close, \u{fc}"),
            ("connection", "b"),
            ("a", "1"),
            ("b", "2"),
            ("c", "3"),
            ("te", "x"),
            ("keep-alive", "y"),
        ];
        assert_eq!(names(&headers(&lines)), ["connection", "keep-alive", "te", "a", "b"]);
    }
}
