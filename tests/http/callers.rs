//! Who asks, and from where, in fields and extensions that are not in the key.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use hybridcache::http::{Builder, HIDDEN_FIELDS, HttpCacheLayer, IDENTITY_FIELDS, Key, Private};
use tokio::net::TcpListener;

use crate::client::Ask;
use crate::site::{field, reply};
use crate::world::{Server, World};

/// Says what it sees of a field, and may be stored by everybody.
fn heeding(name: &'static str) -> Router {
    Router::new().fallback(async move |request: Request| {
        let public = if request.uri().path() == "/public" { "public, max-age=60" } else { "max-age=60" };
        reply(200, &[("cache-control", public)], format!("[{}]", field(&request, name)))
    })
}

async fn ask(server: &Server, path: &str, name: &str, who: &str) -> (String, bool) {
    let ask = Ask::new(server.0, http::Method::GET, path);
    let reply = if who.is_empty() { ask } else { ask.header(name, who) }.send().await;
    let is_hit = reply.is_hit();
    (reply.body, is_hit)
}

fn layer(world: &World, name: &str, configure: impl FnOnce(Builder) -> Builder) -> HttpCacheLayer {
    let builder = (world.configure)(HttpCacheLayer::builder(world.cache.clone()));
    configure(builder.name(name)).build().unwrap()
}

/// Killed by: not looking at one of the fields.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_that_say_who_asks_share_nothing() {
    for world in World::all().await {
        for name in IDENTITY_FIELDS {
            let server = Server::new(heeding(name).layer(layer(&world, name, |builder| builder))).await;
            for _ in 0..2 {
                for who in ["ann", "bob"] {
                    assert_eq!(ask(&server, "/", name, who).await, (format!("[{who}]"), false), "{name}");
                }
            }
            assert_eq!(
                ask(&server, "/", name, "").await,
                ("[]".to_owned(), false),
                "{name}: nothing of theirs is stored"
            );
            assert_eq!(ask(&server, "/", name, "ann").await.0, "[ann]");
        }
    }
}

/// Killed by: a list that cannot be changed; identities that are not looked for in the key; shared ones that are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_identities_can_be_changed() {
    for world in World::all().await {
        let keyed = layer(&world, "keyed", |builder| builder.key(Key::default().header("x-api-key")));
        let server = Server::new(heeding("x-api-key").layer(keyed)).await;
        for is_hit in [false, true] {
            for who in ["ann", "bob"] {
                assert_eq!(ask(&server, "/", "x-api-key", who).await, (format!("[{who}]"), is_hit));
            }
        }
        let shared = layer(&world, "shared", |builder| builder.private(Private::Share));
        let without = layer(&world, "without", |builder| builder.identity_fields(["x-team"]));
        for layer in [shared, without] {
            let server = Server::new(heeding("nothing").layer(layer)).await;
            assert!(!ask(&server, "/", "x-api-key", "ann").await.1);
            assert!(ask(&server, "/", "x-api-key", "bob").await.1);
        }
        let with = layer(&world, "with", |builder| builder.identity_fields(["x-team"]));
        let server = Server::new(heeding("x-team").layer(with)).await;
        for who in ["ann", "bob", "ann"] {
            assert_eq!(ask(&server, "/", "x-team", who).await, (format!("[{who}]"), false));
        }
    }
}

/// Killed by: a field that reaches a handler whose answer is stored; one that is hidden although it is in the key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_that_mean_another_request_are_hidden_unless_keyed_or_shown() {
    for world in World::all().await {
        for name in HIDDEN_FIELDS {
            let server = Server::new(heeding(name).layer(layer(&world, name, |builder| builder))).await;
            assert_eq!(ask(&server, "/", name, "evil").await, ("[]".to_owned(), false), "{name}");
            assert_eq!(ask(&server, "/", name, "").await, ("[]".to_owned(), true), "{name}");
        }
        let name = "x-forwarded-proto";
        let keyed = layer(&world, "keyed-proto", |builder| builder.key(Key::default().header(name)));
        let server = Server::new(heeding(name).layer(keyed)).await;
        for is_hit in [false, true] {
            for proto in ["http", "https"] {
                assert_eq!(ask(&server, "/", name, proto).await, (format!("[{proto}]"), is_hit));
            }
        }
        let shown = layer(&world, "shown", |builder| builder.show_unkeyed([name]));
        let server = Server::new(heeding(name).layer(shown)).await;
        assert_eq!(ask(&server, "/", name, "https").await.0, "[https]");
    }
}

/// Killed by: not looking for `ConnectInfo`; looking for it although it is to be ignored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connect_info_says_who_asks() {
    async fn greet(ConnectInfo(client): ConnectInfo<SocketAddr>) -> Response {
        reply(200, &[("cache-control", "max-age=60")], client.to_string())
    }
    for world in World::all().await {
        let ignoring = layer(&world, "ignoring", Builder::ignore_connect_info);
        for (layer, is_shared) in [(world.layer.clone(), false), (ignoring, true)] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let app = Router::new().fallback(greet).layer(layer).into_make_service_with_connect_info::<SocketAddr>();
            let server = Server(address, tokio::spawn(async move { axum::serve(listener, app).await.unwrap() }));
            let (first, second) = (server.get("/").await, server.get("/").await);
            assert_eq!(first == second, is_shared, "each connection has a port of its own");
        }
    }
}

/// What a session layer outside found out.
#[derive(Clone)]
struct Session(String);

/// Killed by: not looking for the extension.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_extension_can_say_who_asks() {
    async fn session(mut request: Request, next: Next) -> Response {
        let who = field(&request, "x-who");
        if !who.is_empty() {
            request.extensions_mut().insert(Session(who));
        }
        next.run(request).await
    }
    for world in World::all().await {
        let layer = layer(&world, "sessions", |builder| builder.identity_extension::<Session>());
        let app = Router::new()
            .fallback(async |request: Request| {
                let who = request.extensions().get().map(|Session(who)| who.clone()).unwrap_or_default();
                reply(200, &[("cache-control", "max-age=60")], who)
            })
            .layer(layer)
            .layer(from_fn(session));
        let server = Server::new(app).await;
        for who in ["ann", "bob", "", "ann", ""] {
            assert_eq!(ask(&server, "/", "x-who", who).await.0, who);
        }
        assert!(ask(&server, "/", "x-who", "").await.1);
    }
}
