//! One layer under several mounts: what answers one public path is never shown at another.

use std::task::{Context, Poll};

use axum::Router;
use axum::extract::{Extension, OriginalUri, Path, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::{StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hybridcache::HybridCache;
use hybridcache::http::{CacheOutcome, Forwarded, HttpCacheLayer, PublicUri, PublicUriLayer};
use tokio::net::TcpListener;
use tower_layer::Layer;
use tower_service::Service;

use crate::client::Ask;
use crate::site::{configured, reply};
use crate::world::{Server, World};

fn page(body: impl Into<String>) -> Response {
    reply(200, &[("cache-control", "max-age=60")], body.into())
}

/// Says whose it is and what it saw of the path.
fn items(owner: &'static str) -> Router {
    Router::new().route("/items", get(async move |uri: Uri| page(format!("{owner} {uri}"))))
}

/// Killed by: a key of the path that is left after axum has stripped the prefix.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nested_routers_do_not_share_pages() {
    for World { layer, .. } in World::all().await {
        let app = Router::new()
            .nest("/admin", items("admin").layer(layer.clone()))
            .nest("/public", items("public").layer(layer.clone()))
            .merge(items("top").layer(layer.clone()));
        let server = Server::new(app).await;
        let pages = [("/admin/items", "admin /items"), ("/public/items", "public /items"), ("/items", "top /items")];
        server.each_has_its_own(&pages).await;
    }
}

/// The same for each way that a router, a route or a method is layered and mounted.
///
/// Killed by: taking the public path into account in one of them only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_mount_keeps_pages_apart() {
    for world in World::all().await {
        let layer = &world.layer;
        let by_method = |owner: &'static str| {
            Router::new()
                .route("/items", get(async move |uri: Uri| page(format!("{owner} {uri}"))).layer(layer.clone()))
        };
        let app = Router::new()
            .nest("/routes", items("routes").route_layer(layer.clone()))
            .nest("/methods", by_method("methods"))
            .nest_service("/service", items("service").layer(layer.clone()))
            .nest_service("/bare", layer.layer(items("bare")))
            .nest("/deep", Router::new().nest("/er", items("deep").layer(layer.clone())))
            .nest("/other", items("other").layer(world.another_layer()))
            .nest(
                "/fallback",
                Router::new().fallback(async |uri: Uri| page(format!("fallback {uri}"))).layer(layer.clone()),
            );
        let server = Server::new(app).await;
        server
            .each_has_its_own(&[
                ("/routes/items", "routes /items"),
                ("/methods/items", "methods /items"),
                ("/service/items", "service /items"),
                ("/bare/items", "bare /items"),
                ("/deep/er/items", "deep /items"),
                ("/other/items", "other /items"),
                ("/fallback/items", "fallback /items"),
            ])
            .await;
    }
}

/// Killed by: the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_in_the_prefix_do_not_share_pages() {
    for World { layer, .. } in World::all().await {
        let tenant = Router::new()
            .route("/items", get(async |Path(tenant): Path<String>| page(format!("items of {tenant}"))))
            .layer(layer.clone());
        let server = Server::new(Router::new().nest("/{tenant}", tenant)).await;
        server.each_has_its_own(&[("/one/items", "items of one"), ("/two/items", "items of two")]).await;
    }
}

/// Killed by: a tag of the path that the handler sees.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalidate_takes_the_public_path() {
    for World { layer, .. } in World::all().await {
        let calls = crate::site::Calls::default();
        let counted = || {
            let calls = calls.clone();
            Router::new().route("/items", get(async move || page(calls.add().to_string()))).layer(layer.clone())
        };
        let server = Server::new(Router::new().nest("/admin", counted()).nest("/public", counted())).await;
        assert_eq!([server.get("/admin/items").await, server.get("/public/items").await], ["1", "2"]);
        layer.invalidate("/items").await.unwrap();
        assert_eq!([server.get("/admin/items").await, server.get("/public/items").await], ["1", "2"]);
        layer.invalidate("/admin/items").await.unwrap();
        assert_eq!([server.get("/admin/items").await, server.get("/public/items").await], ["3", "2"]);
    }
}

/// Killed by: resolving `Location` against the path that the handler sees; voiding that path.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_under_a_mount_voids_its_public_path_and_location() {
    for World { layer, .. } in World::all().await {
        let calls = crate::site::Calls::default();
        let handler = move |request: Request| {
            let calls = calls.clone();
            async move {
                let location = request.headers().get("location").cloned();
                match (request.method().as_str(), location) {
                    ("POST", Some(location)) => (StatusCode::CREATED, [("location", location)]).into_response(),
                    ("POST", None) => StatusCode::NO_CONTENT.into_response(),
                    _ => page(calls.add().to_string()),
                }
            }
        };
        let mounted = || Router::new().fallback(handler.clone()).layer(layer.clone());
        let server = Server::new(Router::new().nest("/admin", mounted()).nest("/public", mounted())).await;
        let mut nth = 0;
        for (write, location, void, kept) in [
            ("/admin/items", None, "/admin/items", "/public/items"),
            ("/admin/items", Some("/public/items"), "/public/items", "/admin/other"),
            ("/admin/items", Some("items/7"), "/admin/items/7", "/public/items/7"),
            ("/admin/items", Some("http://test/admin/x"), "/admin/x", "/public/x"),
            ("/admin/items/7", Some("../y"), "/admin/y", "/public/y"),
        ] {
            for path in [void, kept] {
                layer.invalidate(path).await.unwrap();
                nth += 1;
                assert_eq!(server.get(path).await, nth.to_string());
            }
            let ask = Ask::new(server.0, http::Method::POST, write);
            let ask = location.into_iter().fold(ask, |ask, location| ask.header("location", location));
            assert!(ask.send().await.status.is_success());
            assert_eq!(server.get(kept).await, nth.to_string(), "{write} {location:?}");
            nth += 1;
            assert_eq!(server.get(void).await, nth.to_string(), "{write} {location:?}");
        }
    }
}

/// What stands between the mount and the layer may change the path by something that is not in the public one.
///
/// Killed by: a key of the public path alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rewriter_inside_keeps_pages_apart() {
    async fn by_version(mut request: Request, next: Next) -> Response {
        if let Some(version) = request.headers().get("accept-version") {
            let uri = format!("/{}{}", version.to_str().unwrap(), request.uri());
            *request.uri_mut() = uri.parse().unwrap();
        }
        next.run(request).await
    }
    for World { layer, .. } in World::all().await {
        let app = items("versions").layer(layer.clone()).layer(from_fn(by_version));
        let server = Server::new(app).await;
        for _ in 0..2 {
            for version in ["v1", "v2"] {
                let ask = Ask::new(server.0, http::Method::GET, "/items").header("accept-version", version);
                assert_eq!(ask.send().await.body, format!("versions /{version}/items"));
            }
        }
        layer.invalidate("/items").await.unwrap();
        assert!(!server.ask("GET", "/items").await.is_hit());
    }
}

/// Takes a first segment off, as a plain middleware outside of the router does, and tells the handler of it by an extension.
#[derive(Clone)]
struct Localised<S>(S);

#[derive(Clone)]
struct Locale(String);

impl<S, B> Service<http::Request<B>> for Localised<S>
where
    S: Service<http::Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<B>) -> S::Future {
        let path = request.uri().path().to_owned();
        let (locale, rest) = path[1..].split_once('/').unwrap();
        *request.uri_mut() = format!("/{rest}").parse().unwrap();
        request.extensions_mut().insert(Locale(locale.to_owned()));
        self.0.call(request)
    }
}

/// Killed by: not looking at what the outermost layer noted; letting axum's `OriginalUri` win.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rewriter_outside_is_seen_by_a_layer_farther_out() {
    for World { layer, .. } in World::all().await {
        let items = Router::new()
            .route("/items", get(async |Extension(Locale(locale)): Extension<Locale>| page(locale)))
            .layer(layer.clone());
        let rewritten = PublicUriLayer::new().layer(Localised(items));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = axum::ServiceExt::<Request>::into_make_service(rewritten);
        let server = Server(address, tokio::spawn(async move { axum::serve(listener, service).await.unwrap() }));
        server.each_has_its_own(&[("/de/items", "de"), ("/en/items", "en")]).await;
        layer.invalidate("/de/items").await.unwrap();
        assert!(!server.ask("GET", "/de/items").await.is_hit());
        assert!(server.ask("GET", "/en/items").await.is_hit());
    }
}

/// A rewriter that says itself what it took off, and a hook.
///
/// Killed by: not asking the hook first; not reading the extension.
#[tokio::test]
async fn a_hook_or_an_extension_says_what_is_public() {
    let cache = HybridCache::builder().build().await.unwrap();
    let by_field = |parts: &http::request::Parts| {
        let public = parts.headers.get("x-public").and_then(|path| path.to_str().ok()).unwrap_or("/");
        public.parse().unwrap()
    };
    let layer = configured(HttpCacheLayer::builder(cache)).public_uri(by_field).build().unwrap();
    let server = Server::new(items("hooked").layer(layer.clone())).await;
    let ask = async |public: &str| {
        let ask = Ask::new(server.0, http::Method::GET, "/items").header("x-public", public);
        ask.send().await.is_hit()
    };
    assert_eq!([ask("/one").await, ask("/two").await, ask("/one").await], [false, false, true]);
    layer.invalidate("/one").await.unwrap();
    assert_eq!([ask("/one").await, ask("/two").await], [false, true]);

    let world = &World::all().await[0];
    let mut service = world.layer.layer(items("said"));
    let mut ask = async |public: &'static str| {
        let mut request = http::Request::get("/items").body(Empty::<Bytes>::new()).unwrap();
        request.extensions_mut().insert(PublicUri(Uri::from_static(public)));
        let response = service.call(request).await.unwrap();
        response.extensions().get::<CacheOutcome>().unwrap().is_hit()
    };
    assert_eq!([ask("/one").await, ask("/two").await, ask("/one").await], [false, false, true]);
}

/// A path normaliser outside: all spellings are one path to the router, and one to who invalidates.
///
/// Killed by: tags of paths as they are spelt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_normaliser_outside_leaves_no_spelling_behind() {
    async fn normalise(mut request: Request, next: Next) -> Response {
        let path = request.uri().path().trim_end_matches('/').replace("//", "/");
        *request.uri_mut() = path.parse().unwrap();
        next.run(request).await
    }
    for World { layer, .. } in World::all().await {
        let app = layer.layer(Router::new().fallback(async |uri: Uri| page(uri.to_string())));
        let app = Router::new().fallback_service(app).layer(from_fn(normalise));
        let server = Server::new(app).await;
        for void in ["/a/items", "/a/items/", "/a//items"] {
            for spelling in ["/a/items", "/a/items/", "/a//items"] {
                assert_eq!(server.get(spelling).await, "/a/items");
                assert!(server.ask("GET", spelling).await.is_hit(), "{spelling}");
            }
            layer.invalidate(void).await.unwrap();
            for spelling in ["/a/items", "/a/items/", "/a//items"] {
                assert!(!server.ask("GET", spelling).await.is_hit(), "{void} leaves {spelling}");
            }
        }
    }
}

/// A layer within itself: the outer one answers, the inner one is out of its way.
///
/// Killed by: an inner layer that waits for the load of the outer one; one that stores what the outer one finds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_within_a_layer_of_its_name_steps_aside() {
    async fn stamp(request: Request, next: Next) -> Response {
        let mut response = next.run(request).await;
        response.headers_mut().insert("x-between", "yes".parse().unwrap());
        response
    }
    for world in World::all().await {
        let app = items("both").route_layer(world.layer.clone()).layer(from_fn(stamp)).layer(world.another_layer());
        let server = Server::new(app).await;
        for nth in 0..3 {
            let reply = server.ask("GET", "/items").await;
            assert_eq!((reply.said(), reply.header("x-between")), ((200, "both /items"), Some("yes")));
            assert!(nth == 0 || reply.is_hit());
        }
    }
}

/// axum's body without axum's `OriginalUri`: of another version, or under something that took it away. What was stripped cannot
/// be known, so nothing is stored, unless a hook or an extension says what is public.
///
/// Killed by: taking the path as it is.
#[tokio::test]
async fn where_the_public_path_cannot_be_known_nothing_is_stored() {
    async fn forget(mut request: Request, next: Next) -> Response {
        request.extensions_mut().remove::<OriginalUri>();
        next.run(request).await
    }
    for world in World::all().await {
        let app = |layer: HttpCacheLayer| Router::new().nest("/a", items("a").layer(layer).layer(from_fn(forget)));
        let server = Server::new(app(world.layer.clone())).await;
        for _ in 0..2 {
            let reply = server.ask("GET", "/a/items").await;
            assert_eq!((&*reply.body, reply.cache().contains("fwd=bypass")), ("a /items", true), "{}", reply.cache());
        }
        let builder = (world.configure)(HttpCacheLayer::builder(world.cache.clone()));
        let layer = builder.public_uri(|parts| parts.uri.clone()).build().unwrap();
        let server = Server::new(app(layer)).await;
        server.each_has_its_own(&[("/a/items", "a /items")]).await;
    }
}

/// Bodies of others, with no mounts above them: hyper's, a client's.
#[tokio::test]
async fn without_axum_the_path_is_the_requests() {
    let world = &World::all().await[0];
    let mut service = world.layer.layer(items("plain"));
    let mut ask = async || {
        let response = service.call(http::Request::get("/items").body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        let outcome = response.extensions().get::<CacheOutcome>().unwrap().clone();
        (outcome, response.into_body().collect().await.unwrap().to_bytes())
    };
    assert_eq!(ask().await.0.forwarded(), Some(Forwarded::Miss));
    let (outcome, body) = ask().await;
    assert!(outcome.is_hit());
    assert_eq!(body, "plain /items");
}
