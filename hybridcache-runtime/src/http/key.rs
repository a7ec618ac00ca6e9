//! What tells two requests apart.
//!
//! The host and the path are always in the key, and the public path where it is another, as they came: not decoded, not normalised, so that nothing is merged that
//! a handler tells apart. Each part is escaped, and what separates parts never is: `("a:b", "c")` and `("a", "b:c")` are
//! two keys.

use http::header::{AUTHORIZATION, COOKIE, HOST};
use http::{HeaderMap, HeaderName, Method, Uri, request};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use crate::key::KeyBuf;

/// What of a request is in the key, beside host and path.
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

/// Which parameters of the query are in the key, as they came and in their order.
///
/// A handler sees the whole query all the same: what it answers must not depend on a parameter that is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Query {
    /// The whole query.
    #[default]
    All,
    /// Nothing of it.
    None,
    /// The parameters of these names.
    Only(Vec<String>),
    /// All others.
    Without(Vec<String>),
}

impl Query {
    /// The parameters of these names, as they stand in the request: not decoded.
    pub fn only<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::Only(names.into_iter().map(Into::into).collect())
    }

    /// All but those of these names.
    pub fn without<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::Without(names.into_iter().map(Into::into).collect())
    }

    fn has(&self, pair: &str) -> bool {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        match self {
            Self::All => true,
            Self::None => false,
            Self::Only(names) => names.iter().any(|listed| listed == name),
            Self::Without(names) => !names.iter().any(|listed| listed == name),
        }
    }
}

impl Key {
    /// Which parameters of the query; all of them unless this says otherwise.
    pub fn query(mut self, query: Query) -> Self {
        self.query = query;
        self
    }

    /// All lines of a header field. That it is not there is told from one that is empty.
    pub fn header(mut self, name: impl Into<String>) -> Self {
        self.headers.push(name.into().to_ascii_lowercase());
        self
    }

    /// A cookie. A request all of whose cookies are in the key is cached like any other.
    pub fn cookie(mut self, name: impl Into<String>) -> Self {
        self.cookies.push(name.into());
        self
    }

    /// The names of the fields; the first that is none, as an error.
    pub(super) fn fields(&self) -> Result<Vec<HeaderName>, String> {
        let field = |name: &String| HeaderName::try_from(name).map_err(|_| format!("{name:?} is no name of a field"));
        self.headers.iter().map(field).collect()
    }

    pub(super) fn has_name(&self, name: &str) -> bool {
        self.headers.iter().any(|listed| listed == name)
    }

    pub(super) fn has_field(&self, name: &HeaderName) -> bool {
        self.has_name(name.as_str())
    }

    /// Whether the request says who asks in fields that are not in the key.
    pub(super) fn secrets(&self, headers: &HeaderMap) -> Secrets {
        let authorization = headers.contains_key(AUTHORIZATION) && !self.has_field(&AUTHORIZATION);
        let unkeyed = |(name, _): (&[u8], _)| !self.cookies.iter().any(|listed| listed.as_bytes() == name);
        let cookie = !self.has_field(&COOKIE) && cookies(headers).any(unkeyed);
        Secrets { authorization, cookie }
    }

    /// `None`: the request names no one resource (two hosts, `*`, an authority alone).
    ///
    /// Where the public URI is another than the request's, both are in the key: the one tells mounts apart, the other is what
    /// the handler sees, and may depend on more than the public one.
    pub(super) fn of(&self, request: &request::Parts, public: Option<&Uri>) -> Option<KeyBuf> {
        let mut key = KeyBuf::new();
        if let Some(scheme) = request.uri.scheme_str() {
            key.text(scheme);
            key.literal("://");
        }
        write(&mut key, host(request)?);
        key.literal("|");
        write(&mut key, path(request)?.as_bytes());
        self.write_query(&mut key, request.uri.query());
        if let Some(public) = public {
            self.write_public(&mut key, public);
        }
        for name in &self.headers {
            key.literal(";");
            key.text(name);
            for value in request.headers.get_all(name) {
                key.literal("=");
                write(&mut key, value.as_bytes());
            }
        }
        for listed in &self.cookies {
            key.literal("&");
            key.text(listed);
            for (_, value) in cookies(&request.headers).filter(|(name, _)| *name == listed.as_bytes()) {
                key.literal("=");
                write(&mut key, value);
            }
        }
        Some(key)
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
        let Some(query) = query else { return };
        match &self.query {
            Query::None => {}
            Query::All => {
                key.literal("?");
                key.text(query);
            }
            some => {
                key.literal("?");
                for pair in query.split('&').filter(|pair| some.has(pair)) {
                    key.text(pair);
                    key.literal("&");
                }
            }
        }
    }
}

/// Which fields of a request say who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Secrets {
    pub(super) authorization: bool,
    pub(super) cookie: bool,
}

impl Secrets {
    pub(super) fn any(self) -> bool {
        self.authorization || self.cookie
    }
}

/// The path as it came. `None` where the request has none: `*`, or the authority that CONNECT names.
fn path(request: &request::Parts) -> Option<&str> {
    let path = request.uri.path();
    (path.starts_with('/') && request.method != Method::CONNECT).then_some(path)
}

/// Who is asked: the URI says, or `Host`. Empty where nobody is named.
fn host(request: &request::Parts) -> Option<&[u8]> {
    let named = request.uri.authority().map(|authority| authority.as_str().as_bytes());
    let mut hosts = request.headers.get_all(HOST).iter().map(|host| host.as_bytes());
    match (named, hosts.next(), hosts.next()) {
        (_, Some(_), Some(_)) => None,
        // Nobody knows which of them a handler looks at.
        (Some(named), Some(host), None) => (named == host).then_some(named),
        (named, host, None) => named.or(host).or(Some(&[])),
        (_, None, Some(_)) => None,
    }
}

/// Bytes of any kind.
fn write(key: &mut KeyBuf, bytes: &[u8]) {
    match str::from_utf8(bytes) {
        Ok(text) => key.text(text),
        // The mark is never in what is escaped: a text that came as these bytes are written here is another.
        Err(_) => {
            key.literal("!");
            key.text(&percent_encode(bytes, NON_ALPHANUMERIC).to_string())
        }
    };
}

/// Name and value of each cookie of a request.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty()).map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        (pair[..at].trim_ascii(), pair.get(at + 1..).unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn key(key: &Key, uri: &str, headers: &[(&str, &str)]) -> Option<String> {
        let request = headers.iter().fold(Request::get(uri), |request, (name, value)| request.header(*name, *value));
        Some(key.of(&request.body(()).expect("a request").into_parts().0, None)?.as_str().to_owned())
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
