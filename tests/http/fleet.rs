//! Rules of one server that hold between two as well: two caches with memories of their own, as processes have them, on one Redis.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request};
use axum::response::Response;
use axum::routing::{get, post};
use http::{StatusCode, Uri};
use hybridcache::HybridCache;
use hybridcache::http::HttpCacheLayer;
use hybridcache_test_support::RedisServer;
use tokio::sync::Semaphore;

use crate::setups::bad_or_page;
use crate::site::{Calls, GENEROUS, Site, configured, origin_headers, reply, until};
use crate::world::{Configure, Server};

const MODES: [Configure; 2] = [configured, origin_headers];

async fn cache(redis: &RedisServer) -> HybridCache {
    HybridCache::builder().namespace("site").redis(redis.url()).redis_budget(GENEROUS).build().await.unwrap()
}

/// A server with a cache of its own. Its handler answers a request with the field `bad` with that status, and others with a page.
async fn site(redis: &RedisServer, calls: &Calls, configure: Configure, gate: &Arc<Semaphore>) -> Site {
    let soon_stale = move |builder| configure(builder).fresh_for(Duration::from_millis(900));
    let gate = gate.clone();
    Site::with(cache(redis).await, calls.clone(), soon_stale, move |request: Request, nth| {
        let gate = gate.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            bad_or_page(&request, nth)
        }
    })
    .await
}

/// How many entries Redis has, pages and marks.
fn entries(redis: &RedisServer) -> usize {
    redis.keys("hc2:*:e").len()
}

/// In one process a bad request finds the page of the other one stale, and its handler answers with the status. The page stays in Redis
/// and in both processes.
///
/// Killed by: such a status that is stored as a mark (`Record::Alone`), or that deletes what it did not confirm.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_about_the_request_replaces_no_page_of_another_process() {
    for configure in MODES {
        let (redis, calls, gate) = (RedisServer::start(), Calls::default(), Arc::new(Semaphore::new(100)));
        let one = site(&redis, &calls, configure, &gate).await;
        let other = site(&redis, &calls, configure, &gate).await;
        assert_eq!(one.get("/p").await.body, "page 1");
        assert_eq!(other.get("/p").await.said(), (200, "page 1"), "it is read from Redis");
        tokio::time::sleep(Duration::from_millis(1100)).await;
        for (nth, status) in ["400", "406", "416", "429", "431", "451"].into_iter().enumerate() {
            // It gets the stale page, and its refresh gets the status.
            let bad = other.ask("GET", "/p").header("bad", status).send().await;
            assert_eq!(bad.said(), (200, "page 1"), "{status}");
            if nth == 0 {
                calls.reach(2).await;
            }
        }
        let read = site(&redis, &calls, configure, &gate).await;
        for (site, who) in [(&one, "the first"), (&other, "the second"), (&read, "one that has it from Redis")] {
            // Its own refresh may have brought the next page.
            let reply = site.get("/p").await;
            assert_eq!(reply.status, StatusCode::OK, "{who}");
            assert!(reply.body.starts_with("page") && reply.is_hit(), "{who}: {reply:?}");
        }
        assert_eq!(entries(&redis), 1, "the page");
    }
}

/// Killed by: a mark that one process leaves in Redis, so that all requests of the other ask for themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_about_the_request_marks_nothing_for_another_process() {
    for configure in MODES {
        let (redis, calls, gate) = (RedisServer::start(), Calls::default(), Arc::new(Semaphore::new(0)));
        let one = site(&redis, &calls, configure, &gate).await;
        let other = site(&redis, &calls, configure, &gate).await;
        for (nth, status) in [400, 406, 412, 416, 429, 431, 451].into_iter().enumerate() {
            gate.add_permits(1);
            let path = format!("/{status}");
            let bad = one.ask("GET", &path).header("bad", &status.to_string()).send().await;
            assert_eq!(bad.status.as_u16(), status);
            assert_eq!(entries(&redis), nth, "{status}");
            let before = calls.count();
            let asked: Vec<_> = (0..20).map(|_| tokio::spawn(other.ask("GET", &path).send())).collect();
            calls.reach(before + 1).await;
            until(|| other.cache.function_stats("http").joined >= 19 * (nth as u64 + 1)).await;
            gate.add_permits(1);
            let page = format!("page {}", before + 1);
            for asked in asked {
                assert_eq!(asked.await.unwrap().said(), (200, &*page), "{status}");
            }
            assert_eq!(one.get(&path).await.said(), (200, &*page), "{status}: it is read from Redis");
            assert_eq!(calls.count(), before + 1, "{status}");
        }
    }
}

/// The bad request leads the load of the whole fleet, and twenty good ones of the other process wait for it.
///
/// Killed by: a status that is published to who waits; a lease that is kept after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_in_another_process_for_a_status_about_the_request_asks_once() {
    for configure in MODES {
        let (redis, calls, gate) = (RedisServer::start(), Calls::default(), Arc::new(Semaphore::new(0)));
        let one = site(&redis, &calls, configure, &gate).await;
        let other = site(&redis, &calls, configure, &gate).await;
        let bad = tokio::spawn(one.ask("GET", "/p").header("bad", "429").send());
        calls.reach(1).await;
        let asked: Vec<_> = (0..20).map(|_| tokio::spawn(other.ask("GET", "/p").send())).collect();
        until(|| other.cache.function_stats("http").joined >= 19).await;
        gate.add_permits(1);
        assert_eq!(bad.await.unwrap().status, StatusCode::TOO_MANY_REQUESTS);
        calls.reach(2).await;
        gate.add_permits(1);
        for asked in asked {
            assert_eq!(asked.await.unwrap().said(), (200, "page 2"));
        }
        assert_eq!(one.get("/p").await.said(), (200, "page 2"), "it is read from Redis");
        assert_eq!((calls.count(), entries(&redis)), (2, 1));
    }
}

/// One of two processes with the same mounts. Pages say whose they are, and which call of the handler made them.
async fn mounted(redis: &RedisServer, calls: &Calls, configure: Configure) -> (HttpCacheLayer, Server) {
    let layer = configure(HttpCacheLayer::builder(cache(redis).await)).build().unwrap();
    let items = |owner: &'static str| {
        let calls = calls.clone();
        let show = async move |uri: Uri| page(format!("{owner} {uri} {}", calls.add()));
        let items = get(show).merge(post(async || StatusCode::NO_CONTENT));
        Router::new().route("/items", items).layer(layer.clone())
    };
    let counted = calls.clone();
    let show = async move |Path(tenant): Path<String>| page(format!("{tenant} {}", counted.add()));
    let tenants = Router::new().route("/items", get(show)).layer(layer.clone());
    let app = Router::new()
        .nest("/admin", items("admin"))
        .nest("/public", items("public"))
        .merge(items("top"))
        .nest("/of/{tenant}", tenants);
    let server = Server::new(app).await;
    (layer, server)
}

fn page(body: String) -> Response {
    reply(200, &[("cache-control", "max-age=600")], body)
}

/// Asks until the message of the other process has come.
async fn until_said(server: &Server, path: &str, expected: &str) {
    for _ in 0..2000 {
        if server.get(path).await == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{path} is never {expected:?}, but {:?}", server.get(path).await);
}

/// Killed by: a key, or a tag, of the path that is left after axum has stripped the prefix.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_pages_of_one_mount_and_of_no_other() {
    for configure in MODES {
        let (redis, calls) = (RedisServer::start(), Calls::default());
        let (layer, one) = mounted(&redis, &calls, configure).await;
        let (_, other) = mounted(&redis, &calls, configure).await;
        let pages = [
            ("/admin/items", "admin /items 1"),
            ("/public/items", "public /items 2"),
            ("/items", "top /items 3"),
            ("/of/a/items", "a 4"),
            ("/of/b/items", "b 5"),
        ];
        // Alternating: each finds pages of the other mounts in Redis, and not its own.
        for (nth, (path, expected)) in pages.iter().enumerate() {
            let (first, second) = if nth % 2 == 0 { (&one, &other) } else { (&other, &one) };
            assert_eq!(first.get(path).await, *expected);
            assert_eq!(second.get(path).await, *expected, "{path} is read from Redis");
        }
        for _ in 0..2 {
            one.each_has_its_own(&pages).await;
            other.each_has_its_own(&pages).await;
        }
        assert_eq!(calls.count(), pages.len());

        layer.invalidate("/admin/items").await.unwrap();
        until_said(&other, "/admin/items", "admin /items 6").await;
        assert_eq!(one.get("/admin/items").await, "admin /items 6");
        // A write in the other process.
        assert_eq!(other.ask("POST", "/public/items").await.status, StatusCode::NO_CONTENT);
        until_said(&one, "/public/items", "public /items 7").await;
        assert_eq!(other.get("/public/items").await, "public /items 7");
        for server in [&one, &other] {
            for (path, expected) in &pages[2..] {
                assert_eq!(server.get(path).await, *expected);
            }
        }
    }
}
