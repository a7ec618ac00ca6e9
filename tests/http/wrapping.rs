//! What the layer stands in front of.

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty};
use hybridcache::HybridCache;
use hybridcache::http::{CacheOutcome, Forwarded, HttpCacheLayer, Key, Mode};
use tower_layer::Layer;
use tower_service::Service;

use crate::client::Ask;
use crate::site::{Calls, configured, minutes, pass_fresh_time, serve, soon_stale, until};

async fn layer(configure: impl FnOnce(hybridcache::http::Builder) -> hybridcache::http::Builder) -> HttpCacheLayer {
    configure(HttpCacheLayer::builder(HybridCache::builder().build().await.unwrap())).build().unwrap()
}

/// Killed by: a refresh that is asked for without the request's extensions.
#[tokio::test]
async fn path_parameters_survive_a_refresh_in_the_background() {
    let calls = Calls::default();
    let counting = calls.clone();
    let handler = move |Path(id): Path<u64>| {
        let nth = counting.add();
        async move { format!("product {id}, {nth}") }
    };
    let layer = layer(soon_stale).await;
    let (address, _server) = serve(Router::new().route("/p/{id}", get(handler)).route_layer(layer)).await;
    let ask = async || Ask::new(address, http::Method::GET, "/p/7").send().await.body;
    assert_eq!(ask().await, "product 7, 1");
    pass_fresh_time().await;
    assert_eq!(ask().await, "product 7, 1");
    until(|| calls.count() > 1).await;
    let mut refreshed = ask().await;
    while refreshed == "product 7, 1" {
        refreshed = ask().await;
    }
    assert!(refreshed.starts_with("product 7, "), "{refreshed}");
}

/// A body that is `Send` and no more.
struct Whole(Cell<Option<Bytes>>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data))))
    }
}

/// An error of the inner service that nothing is known of.
#[derive(Debug, PartialEq)]
struct Refused(u32);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused {}", self.0)
    }
}

/// As a client is: what it answers depends on the URI.
#[derive(Clone, Default)]
struct Client {
    calls: Calls,
}

impl Service<Request<Empty<Bytes>>> for Client {
    type Response = Response<Whole>;
    type Error = Refused;
    type Future = Ready<Result<Response<Whole>, Refused>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Empty<Bytes>>) -> Self::Future {
        let nth = self.calls.add();
        if request.uri().path() == "/refused" || (request.uri().path() == "/then-refused" && nth > 1) {
            return ready(Err(Refused(7)));
        }
        let body = format!("{} {nth}", request.uri());
        let mut response = Response::new(Whole(Cell::new(Some(body.clone().into()))));
        let headers = response.headers_mut();
        headers.insert("content-length", body.len().into());
        headers.insert("cache-control", "max-age=1, stale-if-error=60".parse().unwrap());
        ready(Ok(response))
    }
}

async fn send<S, B>(client: &mut S, uri: &str) -> Result<(String, CacheOutcome), S::Error>
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>>,
    B: Body<Data = Bytes, Error = Infallible>,
{
    let response = client.call(Request::get(uri).body(Empty::new()).unwrap()).await?;
    let outcome = response.extensions().get::<CacheOutcome>().unwrap().clone();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Ok((String::from_utf8(body.to_vec()).unwrap(), outcome))
}

/// Killed by: errors that are boxed or replaced.
#[tokio::test]
async fn a_client_is_cached_and_its_errors_are_its_own() {
    let layer = layer(|builder| builder.mode(Mode::OriginHeaders)).await;
    let mut client = layer.layer(Client::default());
    let (body, outcome) = send(&mut client, "http://one/p").await.unwrap();
    assert_eq!(body, "http://one/p 1");
    assert_eq!((outcome.is_hit(), outcome.forwarded(), outcome.is_stored()), (false, Some(Forwarded::Miss), true));
    let (body, outcome) = send(&mut client, "http://one/p").await.unwrap();
    assert_eq!((&*body, outcome.is_hit(), outcome.forwarded()), ("http://one/p 1", true, None));
    assert_eq!(send(&mut client, "http://two/p").await.unwrap().0, "http://two/p 2");
    assert_eq!(send(&mut client, "https://two/p").await.unwrap().0, "https://two/p 3");
    assert_eq!(send(&mut client, "http://one/refused").await.unwrap_err(), Refused(7));
    assert_eq!(send(&mut client, "http://one/refused").await.unwrap_err(), Refused(7));
}

/// Killed by: an error that is not taken for a failure.
#[tokio::test]
async fn a_stale_answer_stands_in_for_a_client_that_cannot_connect() {
    let layer = layer(|builder| builder.mode(Mode::OriginHeaders)).await;
    let mut client = layer.layer(Client::default());
    assert_eq!(send(&mut client, "http://one/then-refused").await.unwrap().0, "http://one/then-refused 1");
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let (body, outcome) = send(&mut client, "http://one/then-refused").await.unwrap();
    assert_eq!((&*body, outcome.is_hit(), outcome.is_stale()), ("http://one/then-refused 1", false, true));
}

/// Killed by: leaving out one of the checks.
#[tokio::test]
async fn wrong_settings_are_refused_with_their_names() {
    let cache = HybridCache::builder().build().await.unwrap();
    let builder = || HttpCacheLayer::builder(cache.clone());
    let second = std::time::Duration::from_secs(1);
    let wrong = [
        (builder(), "ttl"),
        (builder().ttl(std::time::Duration::ZERO), "ttl"),
        (builder().ttl(second).fresh_for(2 * second), "fresh_for"),
        (builder().ttl(second).timeout(std::time::Duration::ZERO), "timeout"),
        (builder().ttl(second).hide_unkeyed(["x y"]), "hide_unkeyed"),
        (builder().ttl(second).key(Key::default().header("x")).hide_unkeyed(["X"]), "hide_unkeyed"),
        (builder().ttl(second).key(Key::default().header("")), "key"),
        (builder().ttl(second).cache_status("a b"), "cache_status"),
        (builder().ttl(second).name(""), "name"),
        (builder().ttl(second).targeted(["a b"]), "targeted"),
    ];
    for (builder, setting) in wrong {
        let error = builder.build().unwrap_err();
        assert!(error.is_config() && error.to_string().starts_with(setting), "{setting}: {error}");
    }
    builder().mode(Mode::OriginHeaders).build().unwrap();
}

/// Layers of two names keep their answers apart; those of one share them.
#[tokio::test]
async fn names_tell_layers_apart() {
    let cache = HybridCache::builder().build().await.unwrap();
    let layer =
        |name: &str| configured(HttpCacheLayer::builder(cache.clone())).ttl(minutes(30)).name(name).build().unwrap();
    let client = Client::default();
    let ask = async |name: &str| send(&mut layer(name).layer(client.clone()), "http://one/p").await.unwrap().0;
    assert_eq!(
        [ask("a").await, ask("b").await, ask("a").await],
        ["http://one/p 1", "http://one/p 2", "http://one/p 1"]
    );
    assert_eq!(cache.function_stats("a").hits_memory, 1);
}

/// Killed by: scopes that are not looked at.
#[tokio::test]
async fn scopes_of_the_caller_hold() {
    let mut client = layer(configured).await.layer(Client::default());
    let ask = async |client: &mut _| send(client, "http://one/p").await.unwrap().0;
    assert_eq!(ask(&mut client).await, "http://one/p 1");
    let mut other = client.clone();
    // The scope covers what is called within it: the layer looks when it is called.
    assert_eq!(hybridcache::bypass(async move { ask(&mut other).await }).await, "http://one/p 2");
    let mut other = client.clone();
    assert_eq!(hybridcache::refresh(async move { ask(&mut other).await }).await, "http://one/p 3");
    assert_eq!(ask(&mut client).await, "http://one/p 3");
}
