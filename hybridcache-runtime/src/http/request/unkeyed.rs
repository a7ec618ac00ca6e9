//! Fields that a handler may use although they are not in the key: those that identify the caller, and those that name another
//! host, scheme, path or method than the request itself.

use std::net::SocketAddr;

use crate::cache::HybridCache;
use axum::extract::ConnectInfo;
use http::{Extensions, HeaderName};

use super::field_kinds::{FieldKinds, Kinds};
use super::key::Key;
use crate::primitives::log_limit::{self, LogLimit};

/// Fields that identify the caller, beside `Cookie` and `Authorization`: proxies and gateways add them, and clients send keys of an
/// API. Requests with one of them are [`Private`](crate::http::Private), unless it is in the key.
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

/// Fields that name another host, scheme, path or method than the request itself, or its origin. A handler
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

/// Those of them that change the method or the path. Where they are shown, answers to requests with one of them are not stored: a
/// handler that uses it would fill the wrong entry.
const OVERRIDES: &[&str] = &[
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
];

/// Whether the extensions of a request identify the caller.
type Identifies = fn(&Extensions) -> bool;

/// How a layer handles fields and extensions that are not in its key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unkeyed {
    pub(crate) kinds: FieldKinds,
    pub(crate) extensions: Vec<Identifies>,
    /// axum's address of the client is one of them.
    pub(crate) minds_connect_info: bool,
}

impl Unkeyed {
    /// `shown`: fields that are not hidden.
    pub(crate) fn new(key: &Key, identities: Vec<HeaderName>, shown: &[HeaderName]) -> Self {
        let known = |names: &'static [&'static str]| names.iter().map(|name| HeaderName::from_static(name));
        let is_shown = |name: &HeaderName| shown.contains(name);
        let hidden = known(HIDDEN_FIELDS).filter(|name| !is_shown(name));
        let overrides = known(OVERRIDES).filter(is_shown);
        let names = (identities.into_iter().map(|name| (name, Kinds::IDENTITY)))
            .chain(hidden.map(|name| (name, Kinds::HIDDEN)))
            .chain(overrides.map(|name| (name, Kinds::OVERRIDE)));
        let unkeyed = names.filter(|(name, _)| !key.has_field(name));
        Self { kinds: FieldKinds::new(unkeyed), ..Self::default() }
    }

    /// Whether an extension of a request identifies the caller.
    pub(crate) fn has_identity(&self, cache: &HybridCache, extensions: &Extensions) -> bool {
        self.extensions.iter().any(|identifies| identifies(extensions)) || self.has_connect_info(cache, extensions)
    }

    /// Noted by a server that was started with `into_make_service_with_connect_info`.
    fn has_connect_info(&self, cache: &HybridCache, extensions: &Extensions) -> bool {
        let is_noted = self.minds_connect_info && has::<ConnectInfo<SocketAddr>>(extensions);
        if is_noted && CONNECT_INFO.allow() {
            let what = "requests carry axum's `ConnectInfo`: answers may depend on the caller's address, so nothing is stored; if they \
                        do not, configure `HttpCacheLayer::builder(..).ignore_connect_info()`";
            cache.events().warn(true, "http_connect_info", what, None);
        }
        is_noted
    }
}

static CONNECT_INFO: LogLimit = LogLimit::every(log_limit::MINUTE);

pub(crate) fn has<T: Send + Sync + 'static>(extensions: &Extensions) -> bool {
    extensions.get::<T>().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_keyed_or_shown_is_not_hidden() {
        let name = |name| HeaderName::from_static(name);
        let key = Key::default().header("x-forwarded-proto").header("X-Api-Key");
        let identities = vec![name("x-api-key"), name("x-user")];
        let unkeyed = Unkeyed::new(&key, identities, &[name("x-original-url"), name("x-host")]);
        let is = |field, kind| unkeyed.kinds.of(&name(field)).has(kind);
        assert!(!is("x-forwarded-proto", Kinds::HIDDEN) && !is("x-host", Kinds::HIDDEN));
        assert!(is("x-forwarded-host", Kinds::HIDDEN));
        assert!(is("x-original-url", Kinds::OVERRIDE) && !is("x-rewrite-url", Kinds::OVERRIDE));
        assert!(!is("x-api-key", Kinds::IDENTITY) && is("x-user", Kinds::IDENTITY));
    }
}
