//! Fields that a handler may heed although they are not in the key: those that say who asks, and those by which a request means
//! another one than it names.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use http::{Extensions, HeaderMap, HeaderName};
use tracing::warn;

use super::key::Key;
use crate::primitives::log_limit::{self, LogLimit};

/// Fields that say who asks, beside `Cookie` and `Authorization`: what proxies and gateways tell an application of a caller, and
/// keys of an API. Requests with one of them are [`Private`](super::Private), unless it is in the key.
pub const IDENTITY_FIELDS: &[&str] = &[
    "api-key",
    "apikey",
    "cf-access-authenticated-user-email",
    "cf-access-jwt-assertion",
    "client-cert",
    "dpop",
    "proxy-authorization",
    "remote-user",
    "ssl-client-cert",
    "x-access-token",
    "x-amzn-oidc-accesstoken",
    "x-amzn-oidc-data",
    "x-amzn-oidc-identity",
    "x-api-key",
    "x-api-token",
    "x-auth-request-access-token",
    "x-auth-request-email",
    "x-auth-request-groups",
    "x-auth-request-preferred-username",
    "x-auth-request-user",
    "x-auth-token",
    "x-authenticated-user",
    "x-client-cert",
    "x-forwarded-access-token",
    "x-forwarded-client-cert",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-user",
    "x-goog-authenticated-user-email",
    "x-goog-authenticated-user-id",
    "x-goog-iap-jwt-assertion",
    "x-ms-client-principal",
    "x-ms-client-principal-id",
    "x-ms-client-principal-name",
    "x-ms-token-aad-access-token",
    "x-remote-user",
    "x-session-id",
    "x-session-token",
    "x-ssl-client-cert",
    "x-tenant",
    "x-tenant-id",
    "x-user",
    "x-user-email",
    "x-user-id",
    "x-webauth-user",
];

/// Fields by which a request means another host, scheme, path or method than it names, or that say from where it came. A handler
/// whose answer may be stored does not see them, unless they are in the key.
pub const HIDDEN_FIELDS: &[&str] = &[
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "fastly-client-ip",
    "forwarded",
    "front-end-https",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-path",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-protocol",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-forwarded-uri",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
    "x-url-scheme",
];

/// Of these, the ones that change the method or the path. Where they are shown, requests with one of them are not stored: a
/// handler that heeds it would fill the wrong entry.
const OVERRIDES: [&str; 6] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
];

/// Whether an extension of a request says who asks.
type Says = fn(&Extensions) -> bool;

/// What a layer does about fields and extensions that are not in its key.
#[derive(Clone, Debug, Default)]
pub(super) struct Unkeyed {
    pub(super) identities: Names,
    pub(super) extensions: Vec<Says>,
    /// axum's address of the client is one of them.
    pub(super) minds_connect_info: bool,
    pub(super) hidden: Names,
    pub(super) overrides: Names,
}

impl Unkeyed {
    /// `shown`: not to be hidden.
    pub(super) fn new(key: &Key, identities: Vec<HeaderName>, shown: &[HeaderName]) -> Self {
        let unkeyed = |name: &HeaderName| !key.has_field(name);
        let known = |names: &'static [&'static str]| names.iter().map(|name| HeaderName::from_static(name));
        let is_shown = |name: &HeaderName| shown.contains(name);
        Self {
            identities: identities.into_iter().filter(unkeyed).collect(),
            hidden: known(HIDDEN_FIELDS).filter(unkeyed).filter(|name| !is_shown(name)).collect(),
            overrides: OVERRIDES.map(HeaderName::from_static).into_iter().filter(unkeyed).filter(is_shown).collect(),
            ..Self::default()
        }
    }

    /// Whether a request says who asks, beside cookies and `Authorization`.
    pub(super) fn says_who(&self, headers: &HeaderMap, extensions: &Extensions) -> bool {
        self.identities.are_in(headers)
            || self.extensions.iter().any(|says| says(extensions))
            || self.has_connect_info(extensions)
    }

    /// Noted by a server that was started with `into_make_service_with_connect_info`.
    fn has_connect_info(&self, extensions: &Extensions) -> bool {
        let is_noted = self.minds_connect_info && has::<ConnectInfo<SocketAddr>>(extensions);
        if is_noted && CONNECT_INFO.allow() {
            warn!(
                "requests carry axum's `ConnectInfo`, by which answers may depend on who asks, so nothing is stored; where they do \
                 not, say so with `HttpCacheLayer::builder(..).ignore_connect_info()`"
            );
        }
        is_noted
    }
}

static CONNECT_INFO: LogLimit = LogLimit::every(log_limit::MINUTE);

pub(super) fn has<T: Send + Sync + 'static>(extensions: &Extensions) -> bool {
    extensions.get::<T>().is_some()
}

/// Names that most requests have none of: told by length and first letter before they are compared.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    names: Vec<HeaderName>,
    /// For each length, the first letters: a bit for each.
    shapes: [u32; LONGEST],
}

/// Longer names count as this long.
const LONGEST: usize = 32;

impl FromIterator<HeaderName> for Names {
    fn from_iter<I: IntoIterator<Item = HeaderName>>(names: I) -> Self {
        let names: Vec<_> = names.into_iter().collect();
        let mut shapes = [0; LONGEST];
        for (length, letter) in names.iter().map(shape) {
            shapes[length] |= letter;
        }
        Self { names, shapes }
    }
}

fn shape(name: &HeaderName) -> (usize, u32) {
    let name = name.as_str().as_bytes();
    (name.len().min(LONGEST - 1), 1 << (name.first().copied().unwrap_or_default() & 31))
}

impl Names {
    fn has(&self, name: &HeaderName) -> bool {
        let (length, letter) = shape(name);
        self.shapes[length] & letter != 0 && self.names.contains(name)
    }

    pub(super) fn are_in(&self, headers: &HeaderMap) -> bool {
        headers.keys().any(|name| self.has(name))
    }

    pub(super) fn remove_from(&self, headers: &mut HeaderMap) {
        while let Some(name) = headers.keys().find(|name| self.has(name)).cloned() {
            headers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Killed by: a shape that leaves out a name.
    #[test]
    fn each_name_is_found() {
        for list in [IDENTITY_FIELDS, HIDDEN_FIELDS] {
            let names: Names = list.iter().map(|name| HeaderName::from_static(name)).collect();
            for name in list {
                let mut headers = HeaderMap::new();
                headers.insert("accept", "a".parse().expect("a value"));
                assert!(!names.are_in(&headers));
                headers.append(*name, "1".parse().expect("a value"));
                headers.append(*name, "2".parse().expect("a value"));
                assert!(names.are_in(&headers), "{name}");
                names.remove_from(&mut headers);
                assert_eq!(headers.len(), 1, "{name}");
            }
        }
    }

    #[test]
    fn what_is_keyed_or_shown_is_not_hidden() {
        let name = |name| HeaderName::from_static(name);
        let key = Key::default().header("x-forwarded-proto").header("X-Api-Key");
        let identities = vec![name("x-api-key"), name("x-user")];
        let unkeyed = Unkeyed::new(&key, identities, &[name("x-original-url"), name("x-host")]);
        assert!(!unkeyed.hidden.has(&name("x-forwarded-proto")) && !unkeyed.hidden.has(&name("x-host")));
        assert!(unkeyed.hidden.has(&name("x-forwarded-host")));
        assert!(unkeyed.overrides.has(&name("x-original-url")) && !unkeyed.overrides.has(&name("x-rewrite-url")));
        assert!(!unkeyed.identities.has(&name("x-api-key")) && unkeyed.identities.has(&name("x-user")));
    }
}
