//! A server whose handler a test writes, behind the layer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::Method;
use hybridcache::HybridCache;
use hybridcache::http::{Builder, HttpCacheLayer, Mode};
use hybridcache_test_support::waiting::eventually;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::client::{Ask, Reply};

/// How often the handler was called.
#[derive(Clone, Default)]
pub struct Calls(Arc<AtomicUsize>);

impl Calls {
    pub fn count(&self) -> usize {
        self.0.load(SeqCst)
    }

    pub fn add(&self) -> usize {
        self.0.fetch_add(1, SeqCst) + 1
    }

    /// Waits until it was called so often.
    pub async fn reach(&self, count: usize) {
        until(|| self.count() >= count).await;
    }
}

/// One server.
pub struct Site {
    pub address: SocketAddr,
    pub layer: HttpCacheLayer,
    pub cache: HybridCache,
    pub calls: Calls,
    server: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// For ten minutes fresh, and as long stale.
pub fn configured(builder: Builder) -> Builder {
    builder.fresh_for(minutes(10)).ttl(minutes(20)).cache_status("test")
}

/// Stale after 40 ms.
pub fn soon_stale(builder: Builder) -> Builder {
    configured(builder).fresh_for(SOON)
}

pub fn origin_headers(builder: Builder) -> Builder {
    builder.mode(Mode::OriginHeaders).cache_status("test")
}

/// What calls may wait for Redis: tests share their machine.
pub const GENEROUS: Duration = Duration::from_secs(20);

const SOON: Duration = Duration::from_millis(40);

/// What [`soon_stale`] has stored is stale after this.
pub async fn pass_fresh_time() {
    tokio::time::sleep(SOON + Duration::from_millis(20)).await;
}

pub fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

impl Site {
    /// The handler gets each request and its number, from 1.
    pub async fn new<F, Fut, R>(configure: impl FnOnce(Builder) -> Builder, handler: F) -> Self
    where
        F: Fn(Request, usize) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoResponse,
    {
        let cache = HybridCache::builder().build().await.unwrap();
        Self::with(cache, Calls::default(), configure, handler).await
    }

    /// On a cache that is there, counting with others.
    pub async fn with<F, Fut, R>(
        cache: HybridCache,
        calls: Calls,
        configure: impl FnOnce(Builder) -> Builder,
        handler: F,
    ) -> Self
    where
        F: Fn(Request, usize) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoResponse,
    {
        let layer = configure(HttpCacheLayer::builder(cache.clone())).build().unwrap();
        let counting = calls.clone();
        let handle = move |request: Request| handler(request, counting.add());
        let router = Router::new().fallback(handle).layer(layer.clone());
        let (address, server) = serve(router).await;
        Self { address, layer, cache, calls, server }
    }

    pub fn ask(&self, method: &str, path: &str) -> Ask {
        Ask::new(self.address, Method::from_bytes(method.as_bytes()).unwrap(), path)
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path).send().await
    }

    /// Asks until the answer is such.
    pub async fn get_until(&self, path: &str, is_such: impl Fn(&Reply) -> bool) -> Reply {
        for _ in 0..2000 {
            let reply = self.get(path).await;
            if is_such(&reply) {
                return reply;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("no such answer of {path}");
    }
}

pub async fn serve(router: Router) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }))
}

/// Waits for a condition, with a bound.
pub async fn until(condition: impl Fn() -> bool) {
    eventually("the condition holds", async || condition()).await;
}

/// An answer with these fields.
pub fn reply(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let response = headers
        .iter()
        .fold(Response::builder().status(status), |response, (name, value)| response.header(*name, *value));
    response.body(body.into()).unwrap()
}

/// A field of a request.
pub fn field(request: &Request, name: &str) -> String {
    request.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}
