//! The layer and its service.

use std::mem::replace;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, Uri, request, response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::body::CacheBody;
use super::flow::RequestFlow;
use super::future::ResponseFuture;
use super::origin::exchange::{Exchange, forward};
use super::outcome::CacheOutcome;
use super::request::cache_request::{CacheRequest, Route, StoreLookup, hide, written};
use super::request::public_uri::Public;
use super::respond::write_outcome;
use super::rfc::status::Forward;
use super::rfc::{CacheStatus, groups, invalidate};
use super::settings::Settings;
use super::store::tags::{group_tag, path_tag};
use crate::call::evict::Eviction;
use crate::error::Error;
use crate::key::KeyBuf;

/// A `tower` layer that answers from the cache what the handlers behind it have answered before.
///
/// A cheap handle (one `Arc`): clones are the same layer.
#[derive(Clone, Debug)]
pub struct HttpCacheLayer {
    pub(super) settings: Arc<Settings>,
}

impl HttpCacheLayer {
    /// Invalidates all answers of a path, in all processes: of every host, query and variant. The path is the public one, which
    /// clients request, including prefixes that a router strips; in any spelling (`/a%7Eb` and `/a~b` are one path, also `/a/` and `/a`). A
    /// query is ignored. Paths share 65,536 tags, so an answer of another path may be invalidated too.
    ///
    /// How long it waits, and its cancel safety, are those of [`HybridCache::invalidate_tag`](crate::HybridCache::invalidate_tag): once
    /// polled, it takes effect everywhere, also if the future is dropped.
    ///
    /// # Errors
    /// If Redis did not confirm the invalidation: see [`Error::is_pending`].
    pub async fn invalidate(&self, path: &str) -> Result<(), Error> {
        let path = path.split('?').next().unwrap_or_default();
        self.settings.cache.invalidate_tag(&path_tag(&self.settings, path)).await
    }

    /// Invalidates all answers and values of cached functions that carry a tag, in all processes: the same as
    /// [`HybridCache::invalidate_tag`](crate::HybridCache::invalidate_tag).
    ///
    /// # Errors
    /// If Redis did not confirm the invalidation: see [`Error::is_pending`].
    pub async fn invalidate_tag(&self, tag: &str) -> Result<(), Error> {
        self.settings.cache.invalidate_tag(tag).await
    }
}

impl<S> Layer<S> for HttpCacheLayer {
    type Service = HttpCache<S>;

    fn layer(&self, inner: S) -> HttpCache<S> {
        HttpCache { inner, layer: self.clone() }
    }
}

/// The service that [`HttpCacheLayer`] makes of another.
#[derive(Clone, Debug)]
pub struct HttpCache<S> {
    inner: S,
    layer: HttpCacheLayer,
}

impl<S, B, B2> Service<Request<B>> for HttpCache<S>
where
    S: Service<Request<B>, Response = Response<B2>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Body + Send + 'static,
    B2: Body<Data = Bytes> + Send + 'static,
    B2::Error: Send + 'static,
{
    type Response = Response<CacheBody<B2>>;
    type Error = S::Error;
    type Future = ResponseFuture<B2, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was polled ready is the one to call; its clone may not be ready.
        let next = self.inner.clone();
        let service = replace(&mut self.inner, next);
        self.layer.answer(service, request)
    }
}

impl HttpCacheLayer {
    fn answer<S, B, B2>(&self, service: S, request: Request<B>) -> ResponseFuture<B2, S::Error>
    where
        S: Service<Request<B>, Response = Response<B2>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Send + 'static,
        B: Body + Send + 'static,
        B2: Body<Data = Bytes> + Send + 'static,
        B2::Error: Send + 'static,
    {
        let (mut parts, body) = request.into_parts();
        hide(&self.settings.hidden, &mut parts.headers);
        let public = Public::of::<B>(&self.settings, &parts);
        match CacheRequest::of(&self.settings, parts, public, body.is_end_stream()) {
            Route::Lookup(request, mut extensions) => match request.look(None) {
                StoreLookup::Hit(held, aged) => ResponseFuture::ready(request.hit(&held, aged)),
                looked => {
                    request.enclose(&mut extensions);
                    let exchange = Exchange { service, extensions, body };
                    ResponseFuture::new(RequestFlow::new(Arc::from(request), exchange).run(looked))
                }
            },
            Route::Bypass(parts, why) => {
                ResponseFuture::new(self.clone().bypass(service, Request::from_parts(parts, body), why))
            }
            Route::Enclosed(parts) => ResponseFuture::new(forward(service, Request::from_parts(parts, body))),
            Route::Unsafe(parts, public) => {
                let asked = written(&parts, public);
                ResponseFuture::new(self.clone().write(service, Request::from_parts(parts, body), asked))
            }
        }
    }

    async fn bypass<S, B, B2>(
        self,
        service: S,
        request: Request<B>,
        why: Forward,
    ) -> Result<Response<CacheBody<B2>>, S::Error>
    where
        S: Service<Request<B>, Response = Response<B2>>,
        B2: Body<Data = Bytes>,
    {
        let mut response = forward(service, request).await?;
        write_outcome(&self.settings, &mut response, forwarded(why));
        Ok(response)
    }

    /// `asked`: method, public URI and fields of the request.
    async fn write<S, B, B2>(
        self,
        service: S,
        request: Request<B>,
        asked: request::Parts,
    ) -> Result<Response<CacheBody<B2>>, S::Error>
    where
        S: Service<Request<B>, Response = Response<B2>>,
        B2: Body<Data = Bytes>,
    {
        let mut eviction = Eviction::new();
        // From here on the path will be invalidated, unless the handler answers with an error: also if it panics, or if the client
        // disconnects.
        self.void(&mut eviction, path_tag(&self.settings, asked.uri.path()));
        let (head, body) = match forward(service, request).await {
            Ok(response) => response.into_parts(),
            Err(error) => {
                eviction.run().await;
                return Err(error);
            }
        };
        self.evict(eviction, &asked, &head).await;
        let mut response = Response::from_parts(head, body);
        write_outcome(&self.settings, &mut response, forwarded(Forward::Method));
        Ok(response)
    }

    /// Invalidates the targets of a write before its client gets the response.
    async fn evict(&self, mut eviction: Eviction, request: &request::Parts, response: &response::Parts) {
        let targets = invalidate::targets(request, response);
        if targets.is_empty() {
            return eviction.cancel();
        }
        for target in targets.iter().map(Uri::path).filter(|path| *path != request.uri.path()) {
            self.void(&mut eviction, path_tag(&self.settings, target));
        }
        for group in groups::invalidated(request, response) {
            self.void(&mut eviction, group_tag(&self.settings, &request.uri, &request.headers, &group));
        }
        eviction.run().await;
    }

    fn void(&self, eviction: &mut Eviction, tag: String) {
        let mut text = KeyBuf::new();
        text.text(&tag);
        eviction.tag(&self.settings.cache, &text);
    }
}

fn forwarded(forward: Forward) -> CacheOutcome {
    CacheOutcome { status: CacheStatus { forward: Some(forward), ..CacheStatus::default() }, age: None, stale: false }
}
