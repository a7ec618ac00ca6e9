//! The key of a request.
//!
//! The host and the path are always in the key, and the public path where it differs. They are neither decoded nor normalised: a handler
//! may answer each spelling differently. Each part is escaped, and separators never are: `("a:b", "c")` and `("a", "b:c")` are
//! two keys.
//!
//! The query and the cookies that a handler sees are exactly those in the key: with a part that it sees and the key leaves out, one
//! client could choose the answers of others.

use std::borrow::Cow;

use http::header::{AUTHORIZATION, COOKIE, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, request};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode, percent_encode};

use crate::key::KeyBuf;

/// The parts of a request in its key, beside host and path. A request with a key of more than 8 KiB is not stored.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// use hybridcache::http::{Key, Query};
/// let key = Key::default().query(Query::only(["page", "sort"])).header("accept-language").cookie("currency");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key {
    query: Query,
    headers: Vec<String>,
    cookies: Vec<String>,
}

/// Which parameters of the query are in the key, in the order and the spelling of the request. The handler does not see other
/// parameters, unless [`Builder::show_unkeyed_query`](crate::http::Builder::show_unkeyed_query) is set.
///
/// Names are compared decoded, on both sides: `filter[color]` also matches `filter%5Bcolor%5D`, and `a b` also `a+b`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Query {
    /// The whole query.
    #[default]
    All,
    /// No parameter.
    None,
    /// The parameters of these names.
    Only(Vec<String>),
    /// All others.
    Without(Vec<String>),
}

impl Query {
    /// The parameters of these names.
    pub fn only<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::Only(names.into_iter().map(Into::into).collect())
    }

    /// All but those of these names.
    pub fn without<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::Without(names.into_iter().map(Into::into).collect())
    }

    /// The keyed part of a query; `None` where there is none.
    fn keyed<'a>(&self, query: Option<&'a str>) -> Option<Cow<'a, str>> {
        let query = query?;
        let kept: Vec<_> = match self {
            Self::All => return Some(query.into()),
            Self::None => return None,
            Self::Only(names) => query.split('&').filter(|pair| is_listed(names, pair)).collect(),
            Self::Without(names) => query.split('&').filter(|pair| !is_listed(names, pair)).collect(),
        };
        (!kept.is_empty()).then(|| kept.join("&").into())
    }
}

fn is_listed(names: &[String], pair: &str) -> bool {
    let name = pair.split_once('=').map_or(pair, |(name, _)| name);
    names.iter().any(|listed| is_same_name(listed, name))
}

/// Compares decoded. A listed name may itself be encoded, as a form (`+`) or as a URI, or contain these characters literally.
fn is_same_name(listed: &str, name: &str) -> bool {
    if listed == name {
        return true;
    }
    if !(listed.contains(['%', '+']) || name.contains(['%', '+'])) {
        return false;
    }
    let name = form_decoded(name);
    let as_uri: Cow<'_, [u8]> = percent_decode(listed.as_bytes()).into();
    [listed.as_bytes(), &as_uri, &form_decoded(listed)].contains(&&*name)
}

fn form_decoded(text: &str) -> Vec<u8> {
    percent_decode(text.replace('+', " ").as_bytes()).collect()
}

impl Key {
    /// Which parameters of the query; all by default.
    pub fn query(mut self, query: Query) -> Self {
        self.query = query;
        self
    }

    /// Adds all lines of a header field. An absent field and an empty one make two keys.
    pub fn header(mut self, name: impl Into<String>) -> Self {
        self.headers.push(name.into().to_ascii_lowercase());
        self
    }

    /// Adds a cookie. A request with no other cookies is cached like one without cookies.
    pub fn cookie(mut self, name: impl Into<String>) -> Self {
        self.cookies.push(name.into());
        self
    }

    /// The names of the fields; an error names the first that is invalid.
    pub(crate) fn fields(&self) -> Result<Vec<HeaderName>, String> {
        let field = |name: &String| HeaderName::try_from(name).map_err(|_| format!("{name:?} is no name of a field"));
        self.headers.iter().map(field).collect()
    }

    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.headers.iter().any(|listed| listed == name)
    }

    pub(crate) fn has_field(&self, name: &HeaderName) -> bool {
        self.has_name(name.as_str())
    }

    /// The credentials of a request that are not in the key.
    pub(crate) fn secrets(&self, headers: &HeaderMap) -> Credentials {
        let authorization = headers.contains_key(AUTHORIZATION) && !self.has_field(&AUTHORIZATION);
        let unkeyed = |(name, value): (&[u8], Option<_>)| {
            value.is_none() || !self.cookies.iter().any(|listed| listed.as_bytes() == name)
        };
        let cookie = !self.has_field(&COOKIE) && cookies(headers).any(unkeyed);
        Credentials { authorization, cookie }
    }

    /// Writes the key of a request. `None`: the request names no one resource (two hosts, `*`, an authority alone).
    ///
    /// Where the public URI differs from the request's, both are in the key: the public one distinguishes mounts, and the handler sees
    /// the other one, which may depend on more than the public one.
    pub(crate) fn write(&self, key: &mut KeyBuf, request: &request::Parts, public: Option<&Uri>) -> Option<()> {
        if let Some(scheme) = request.uri.scheme_str() {
            key.text(scheme);
            key.literal("://");
        }
        write(key, host(request)?);
        key.literal("|");
        key.text(path(request)?);
        self.write_query(key, request.uri.query());
        if let Some(public) = public {
            self.write_public(key, public);
        }
        for name in &self.headers {
            key.literal(";");
            key.text(name);
            for value in request.headers.get_all(name) {
                key.literal("=");
                write(key, value.as_bytes());
            }
        }
        for listed in &self.cookies {
            key.literal("&");
            key.text(listed);
            for value in values(&request.headers, listed) {
                key.literal("=");
                write(key, value);
            }
        }
        Some(())
    }

    fn write_public(&self, key: &mut KeyBuf, public: &Uri) {
        key.literal("^");
        if let Some(scheme) = public.scheme_str() {
            key.text(scheme);
            key.literal("://");
        }
        if let Some(authority) = public.authority() {
            key.text(authority.as_str());
        }
        key.literal("|");
        key.text(public.path());
        self.write_query(key, public.query());
    }

    fn write_query(&self, key: &mut KeyBuf, query: Option<&str>) {
        if let Some(query) = self.query.keyed(query) {
            key.literal("?");
            key.text(&query);
        }
    }

    /// The URI with the keyed part of its query; `None` where that is the URI itself.
    pub(crate) fn shown_uri(&self, uri: &Uri) -> Option<Uri> {
        let keyed = self.query.keyed(uri.query());
        if keyed.as_deref() == uri.query() {
            return None;
        }
        let path = uri.path();
        let path_and_query = keyed.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
        let mut parts = uri.clone().into_parts();
        // Parts of what was parsed before: they parse again. Without a query nothing unkeyed is seen either way.
        parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).unwrap_or(PathAndQuery::from_static("/")));
        Uri::from_parts(parts).ok()
    }

    /// The field `Cookie` as the key has it, where the key has all cookies of the request: in the order of the key, without what
    /// parsers disagree on.
    pub(crate) fn shown_cookies(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if self.cookies.is_empty() || self.has_field(&COOKIE) || self.secrets(headers).cookie {
            return None;
        }
        let mut line = Vec::new();
        for listed in &self.cookies {
            for value in values(headers, listed) {
                let separator: &[u8] = if line.is_empty() { b"" } else { b"; " };
                line.extend([separator, listed.as_bytes(), b"=", value].concat());
            }
        }
        HeaderValue::from_bytes(&line).ok().filter(|_| !line.is_empty())
    }
}

/// Which credentials of a request count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) authorization: bool,
    /// A cookie, or another field or extension that identifies the caller.
    pub(crate) cookie: bool,
}

impl Credentials {
    pub(crate) fn any(self) -> bool {
        self.authorization || self.cookie
    }
}

/// The path as it came. `None` where the request has none: `*`, or the authority that CONNECT names.
fn path(request: &request::Parts) -> Option<&str> {
    let path = request.uri.path();
    (path.starts_with('/') && request.method != Method::CONNECT).then_some(path)
}

/// The host: of the URI, or of `Host`. Empty if neither has one; `None` if they differ, or if there are several.
fn host(request: &request::Parts) -> Option<&[u8]> {
    let named = request.uri.authority().map(|authority| authority.as_str().as_bytes());
    let mut hosts = request.headers.get_all(HOST).iter().map(|host| host.as_bytes());
    match (named, hosts.next(), hosts.next()) {
        (_, Some(_), Some(_)) => None,
        // A handler may read either of them.
        (Some(named), Some(host), None) => (named == host).then_some(named),
        (named, host, None) => named.or(host).or(Some(&[])),
        (_, None, Some(_)) => None,
    }
}

/// Bytes of any kind.
fn write(key: &mut KeyBuf, bytes: &[u8]) {
    match str::from_utf8(bytes) {
        Ok(text) => key.text(text),
        // `!` is always escaped in a text: so no text gives the same key as these bytes.
        Err(_) => {
            key.literal("!");
            key.text(&percent_encode(bytes, NON_ALPHANUMERIC).to_string())
        }
    };
}

/// Name and value of each cookie of a request; no value where there is no `=`. Space at their `=` is part of them: some parsers
/// take `sid ` for `sid`, and others do not.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty()).map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        (&pair[..at], pair.get(at + 1..))
    })
}

/// The values of the cookies of one name.
fn values<'a>(headers: &'a HeaderMap, listed: &str) -> impl Iterator<Item = &'a [u8]> {
    cookies(headers).filter(move |(name, _)| *name == listed.as_bytes()).filter_map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn key(key: &Key, uri: &str, headers: &[(&str, &str)]) -> Option<String> {
        let request = headers.iter().fold(Request::get(uri), |request, (name, value)| request.header(*name, *value));
        let mut written = KeyBuf::new();
        key.write(&mut written, &request.body(()).expect("a request").into_parts().0, None)?;
        Some(written.as_str().to_owned())
    }

    /// Killed by: a separator that is not escaped in values; lines of a field that are joined.
    #[test]
    fn parts_never_run_into_each_other() {
        let two = Key::default().header("a").header("b");
        let one = |uri, headers: &[_]| key(&two, uri, headers);
        assert_ne!(one("/", &[("a", "x:y"), ("b", "z")]), one("/", &[("a", "x"), ("b", "y:z")]));
        assert_ne!(one("/", &[("a", "x=y")]), one("/", &[("a", "x"), ("a", "y")]));
        assert_ne!(one("/", &[("a", "")]), one("/", &[]));
        assert_ne!(one("/?q", &[]), one("/%3Fq", &[]));
        assert_ne!(one("/a|b", &[("host", "h")]), one("/b", &[("host", "h|/a")]));
    }

    /// Killed by: normalising the path.
    #[test]
    fn paths_are_taken_as_they_came() {
        let paths = ["/a%2fb", "/a%2Fb", "/a/b", "/x/../a/b", "//a/b", "/a/b/", "/a/b?"];
        let keys: Vec<_> = paths.iter().map(|path| key(&Key::default(), path, &[])).collect();
        for (at, key) in keys.iter().enumerate() {
            assert!(key.is_some() && !keys[..at].contains(key), "{}", paths[at]);
        }
    }

    #[test]
    fn only_what_is_listed_of_the_query() {
        let only = Key::default().query(Query::only(["page"]));
        assert_eq!(key(&only, "/?utm=x&page=2", &[]), key(&only, "/?page=2&utm=y", &[]));
        assert_ne!(key(&only, "/?page=1", &[]), key(&only, "/?page=2", &[]));
        let without = Key::default().query(Query::without(["utm"]));
        assert_eq!(key(&without, "/?utm=x&page=2", &[]), key(&without, "/?page=2", &[]));
        assert_ne!(key(&without, "/?page=2&b", &[]), key(&without, "/?page=2", &[]));
    }

    /// Killed by: comparing names as they are spelt; decoding only one side.
    #[test]
    fn names_of_parameters_are_compared_decoded() {
        for listed in ["filter[color]", "filter%5Bcolor%5D", "filter%5bcolor]"] {
            for spelt in ["filter[color]", "filter%5Bcolor%5D", "fi%6cter%5bcolor]"] {
                assert!(is_same_name(listed, spelt), "{listed} {spelt}");
            }
        }
        for (listed, spelt, is_same) in [
            ("a b", "a+b", true),
            ("a+b", "a%20b", true),
            ("a+b", "a%2Bb", true),
            ("c++", "c%2b%2b", true),
            ("page", "p%61ge", true),
            ("page", "Page", false),
            ("page", "page%00", false),
            ("a%zz", "a%zz", true),
            ("", "%", false),
        ] {
            assert_eq!(is_same_name(listed, spelt), is_same, "{listed} {spelt}");
        }
    }

    /// Killed by: a URI whose query is not that of the key.
    #[test]
    fn the_handler_sees_the_keyed_query() {
        let only = Key::default().query(Query::only(["a", "b c"]));
        let without = Key::default().query(Query::without(["utm"]));
        let none = Key::default().query(Query::None);
        for (key, uri, shown) in [
            (&only, "/p?a=1&x=2&a=3", Some("/p?a=1&a=3")),
            (&only, "/p?b%20c&%61=%2f&b+c=", None),
            (&only, "/p?x", Some("/p")),
            (&only, "/p?", Some("/p")),
            (&only, "/p", None),
            (&only, "http://h:1/p?x&a", Some("http://h:1/p?a")),
            (&without, "/p?utm=1&a=2&UTM", Some("/p?a=2&UTM")),
            (&without, "/p?a;utm=1&b", None),
            (&without, "/p?", None),
            (&none, "/%2fp?a", Some("/%2fp")),
            (&none, "/", None),
        ] {
            let uri: Uri = uri.parse().expect("a URI");
            assert_eq!(key.shown_uri(&uri).map(|uri| uri.to_string()).as_deref(), shown, "{uri}");
        }
    }

    /// Killed by: the line as it came; cookies that parsers read differently.
    #[test]
    fn the_handler_sees_the_keyed_cookies() {
        let keyed = Key::default().cookie("a").cookie("b");
        let shown = |line: &str| {
            let headers = HeaderMap::from_iter([(COOKIE, line.parse().expect("a value"))]);
            keyed.shown_cookies(&headers).map(|line| line.to_str().expect("a text").to_owned())
        };
        assert_eq!(shown("b=2;  a=1 ;a=3").as_deref(), Some("a=1; a=3; b=2"));
        assert_eq!(shown("a=").as_deref(), Some("a="));
        for unkeyed in ["a", "a =1", "a=1; c=2", "", "=1", "A=1"] {
            assert_eq!(shown(unkeyed), None, "{unkeyed}");
        }
    }

    #[test]
    fn a_request_to_two_hosts_has_no_key() {
        assert_eq!(key(&Key::default(), "/", &[("host", "a"), ("host", "b")]), None);
        assert_eq!(key(&Key::default(), "http://a/", &[("host", "b")]), None);
        assert!(key(&Key::default(), "http://a/", &[("host", "a")]).is_some());
        assert_eq!(key(&Key::default(), "*", &[("host", "a")]), None);
    }

    #[test]
    fn cookies_that_are_not_keyed_are_secrets() {
        let keyed = Key::default().cookie("lang");
        let secrets = |line: &str| {
            let headers = HeaderMap::from_iter([(COOKIE, line.parse().expect("a value"))]);
            keyed.secrets(&headers).cookie
        };
        assert!(!secrets("lang=de"));
        assert!(secrets("lang=de; sid=1"));
        assert!(secrets("sid"));
        assert_ne!(key(&keyed, "/", &[("cookie", "lang=de")]), key(&keyed, "/", &[("cookie", "lang=en")]));
    }
}
