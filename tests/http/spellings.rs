//! One origin, and one path, in several spellings: keys are raw, and a write reaches all of them.

use axum::Router;
use axum::extract::Request;
use axum::response::Response;

use crate::client::{Ask, Reply};
use crate::site::{Calls, reply};
use crate::world::{Server, World};

/// How a request may name one origin: the target, and `Host`.
const ORIGIN: [(&str, &str); 8] = [
    ("", "shop.test"),
    ("", "SHOP.test"),
    ("", "shop.test:80"),
    ("", "shop.test."),
    ("", "shop.test:443"),
    ("http://shop.test", "shop.test"),
    ("https://shop.test", "shop.test"),
    ("https://Shop.test:443", "Shop.test:443"),
];

/// Answers with its number; to a write as the write's fields `x-location` and `x-groups` say.
async fn handle(calls: Calls, request: Request) -> Response {
    if request.method() == "GET" {
        let fields = [("cache-control", "max-age=60"), ("cache-groups", "\"a\"")];
        return reply(200, &fields, calls.add().to_string());
    }
    let mut response = reply(201, &[], "");
    for (said, field) in [("x-location", "location"), ("x-groups", "cache-group-invalidation")] {
        if let Some(value) = request.headers().get(said) {
            response.headers_mut().insert(field, value.clone());
        }
    }
    response
}

async fn server(world: &World) -> Server {
    let calls = Calls::default();
    let handler = move |request: Request| handle(calls.clone(), request);
    Server::new(Router::new().fallback(handler).layer(world.layer.clone())).await
}

async fn send(
    server: &Server,
    method: &str,
    (target, host): (&str, &str),
    path: &str,
    fields: &[(&str, &[u8])],
) -> Reply {
    let ask = Ask::new(server.0, method.parse().unwrap(), &format!("{target}{path}")).header("host", host);
    fields.iter().fold(ask, |ask, (name, value)| ask.header_bytes(name, value)).send().await
}

/// Killed by: a group's tag with the scheme, or with the authority as it is spelt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_of_its_origin_however_that_is_spelt() {
    for world in World::all().await {
        let server = server(&world).await;
        for writer in ORIGIN {
            for reader in ORIGIN {
                send(&server, "GET", reader, "/p", &[]).await;
                assert!(send(&server, "GET", reader, "/p", &[]).await.is_hit());
            }
            send(&server, "GET", ("", "other.test"), "/p", &[]).await;
            send(&server, "POST", writer, "/other", &[("x-groups", b"\"a\"")]).await;
            for reader in ORIGIN {
                assert!(!send(&server, "GET", reader, "/p", &[]).await.is_hit(), "{writer:?} leaves {reader:?}");
            }
            assert!(send(&server, "GET", ("", "other.test"), "/p", &[]).await.is_hit(), "another origin's");
        }
    }
}

/// Killed by: a path's tag of the path as it is spelt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_reaches_all_spellings_of_its_path() {
    let spellings = ["/u/bob@x", "/u/bob%40x", "/u/bo%62@x", "/u/./bob@x", "/u/bob@x/", "//u/bob%40x"];
    for world in World::all().await {
        let server = server(&world).await;
        for void in spellings {
            for by_hand in [false, true] {
                for spelling in spellings {
                    server.get(spelling).await;
                    assert!(server.ask("GET", spelling).await.is_hit());
                }
                server.get("/u/ann@x").await;
                if by_hand {
                    world.layer.invalidate(void).await.unwrap();
                } else {
                    server.ask("PUT", void).await;
                }
                for spelling in spellings {
                    assert!(!server.ask("GET", spelling).await.is_hit(), "{void} leaves {spelling}");
                }
                assert!(server.ask("GET", "/u/ann@x").await.is_hit());
            }
        }
    }
}

/// Killed by: a `Location` that is read as ASCII; an authority that is compared as it is spelt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_location_in_any_spelling_voids_its_path() {
    for world in World::all().await {
        let server = server(&world).await;
        for location in [
            "/u/\u{fc}",
            "\u{fc}",
            "/u/%C3%BC",
            "/u/%c3%bc?q#f",
            "http://shop.test/u/\u{fc}",
            "//SHOP.test.:80/u/\u{fc}",
            "HTTPS://shop.test:/u/%C3%BC/",
        ] {
            for host in ["shop.test", "SHOP.test.", "shop.test:443"] {
                send(&server, "GET", ("", host), "/u/%C3%BC", &[]).await;
                assert!(send(&server, "GET", ("", host), "/u/%C3%BC", &[]).await.is_hit());
                send(&server, "POST", ("", host), "/u/x", &[("x-location", location.as_bytes())]).await;
                let reply = send(&server, "GET", ("", host), "/u/%C3%BC", &[]).await;
                assert!(!reply.is_hit(), "{location} on {host}");
            }
        }
    }
}
