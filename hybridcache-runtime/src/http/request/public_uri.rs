//! The URI by which clients know a resource, however the routers in front of the layer changed it.
//!
//! axum's `nest` strips the prefix, and other middleware rewrites paths: the layer sees the remaining URI, and two
//! public paths can become the same. Keys, tags and the targets of writes are built from the public URI.

use std::any::type_name;
use std::task::{Context, Poll};

use axum::extract::OriginalUri;
use http::{Request, Uri, request};
use tower_layer::Layer;
use tower_service::Service;

use crate::http::settings::Settings;

/// In the extensions of a request: the URI by which clients know the requested resource. Middleware that rewrites the
/// URI of requests before they reach an [`HttpCacheLayer`](crate::http::HttpCacheLayer) inserts it, or
/// [`PublicUriLayer`] does.
///
/// It takes precedence over axum's `OriginalUri`, which the layer reads by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUri(pub Uri);

/// A `tower` layer that stores the URI of each request as its [`PublicUri`], unless the request has one already.
///
/// Needed outside of middleware that rewrites URIs *before* axum's outermost router sees them: locale or version
/// prefixes, path normalisers. For prefixes that axum's `nest` strips it is not needed.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// use hybridcache::http::PublicUriLayer;
/// use tower_layer::Layer;
///
/// # let locales = tower_layer::Identity::new();
/// # let router = axum::Router::<()>::new();
/// let service = PublicUriLayer::new().layer(locales.layer(router));
/// # drop(service);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct PublicUriLayer {}

impl PublicUriLayer {
    /// The layer. It has no settings.
    pub const fn new() -> Self {
        Self {}
    }
}

impl<S> Layer<S> for PublicUriLayer {
    type Service = NotePublicUri<S>;

    fn layer(&self, inner: S) -> NotePublicUri<S> {
        NotePublicUri { inner }
    }
}

/// The service that [`PublicUriLayer`] wraps around another.
#[derive(Clone, Debug)]
pub struct NotePublicUri<S> {
    inner: S,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for NotePublicUri<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        if request.extensions().get::<PublicUri>().is_none() {
            let uri = request.uri().clone();
            request.extensions_mut().insert(PublicUri(uri));
        }
        self.inner.call(request)
    }
}

/// Every URI of a request that its handler can see.
pub(crate) fn each_uri(request: &mut request::Parts, mut change: impl FnMut(&mut Uri)) {
    change(&mut request.uri);
    if let Some(PublicUri(uri)) = request.extensions.get_mut() {
        change(uri);
    }
    if let Some(OriginalUri(uri)) = request.extensions.get_mut() {
        change(uri);
    }
}

/// The public URI of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Public {
    /// It is the request's own URI.
    Same,
    Other(Uri),
    /// A prefix may have been stripped, and it is not known which.
    Unknown,
}

impl Public {
    /// `B`: the request's body.
    pub(crate) fn of<B>(settings: &Settings, request: &request::Parts) -> Self {
        if let Some(public_uri) = &settings.public_uri {
            return Self::known(&public_uri(request), request);
        }
        let extensions = &request.extensions;
        let noted = extensions.get().map(|PublicUri(uri)| uri);
        match noted.or_else(|| extensions.get().map(|OriginalUri(uri)| uri)) {
            Some(uri) => Self::known(uri, request),
            // With the version of axum that this crate knows, each router stores it.
            None if is_axums::<B>() => Self::Unknown,
            None => Self::Same,
        }
    }

    fn known(uri: &Uri, request: &request::Parts) -> Self {
        if *uri == request.uri { Self::Same } else { Self::Other(uri.clone()) }
    }
}

/// Whether a body is that of any version of axum: then there may be a router in front.
fn is_axums<B>() -> bool {
    type_name::<B>().starts_with("axum_core::") || type_name::<B>().starts_with("axum::")
}
