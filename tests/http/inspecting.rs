//! The inspector over HTTP: what it answers, what it refuses, and that nothing is lost by it. How it looks: tests/inspector.

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{HeaderValue, Request, Response, StatusCode};
use hybridcache::inspector::Inspector;
use hybridcache::{HybridCache, hybrid_cached};
use serde_json::Value;
use tower_service::Service;

#[hybrid_cached(name = "looked at", ttl = 60s, key = "{id}", cache = cache)]
async fn looked_at(cache: &HybridCache, id: u64) -> String {
    let _ = cache;
    format!("value {id}")
}

async fn cache() -> HybridCache {
    let cache = HybridCache::builder().namespace("a \"quoted\" \\ name").build().await.unwrap();
    looked_at(&cache, 7).await;
    cache
}

async fn sent(service: impl Into<Router>, request: Request<Body>) -> (StatusCode, Response<Body>) {
    let response = service.into().call(request).await.unwrap();
    (response.status(), response)
}

fn mounted(inspector: Inspector) -> Router {
    Router::new().nest_service("/a/b", inspector)
}

fn get(path: &str) -> Request<Body> {
    Request::builder().uri(path).body(Body::empty()).unwrap()
}

fn post(path: &str) -> Request<Body> {
    Request::builder().method("POST").uri(path).body(Body::empty()).unwrap()
}

async fn json(inspector: &Inspector, path: &str) -> (StatusCode, Value) {
    let (status, response) = sent(mounted(inspector.clone()), get(path)).await;
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

/// Killed by: a page that its own policy forbids to load its parts; parts of another path.
#[tokio::test]
async fn the_page_and_its_parts_are_found_under_any_path_with_a_strict_policy() {
    let inspector = Inspector::new(&cache().await);
    for (path, kind) in [("/a/b/", "text/html"), ("/a/b/app.js", "text/javascript"), ("/a/b/style.css", "text/css")] {
        let (status, response) = sent(mounted(inspector.clone()), get(path)).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        let headers = response.headers();
        assert!(headers["content-type"].to_str().unwrap().starts_with(kind), "{path}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(headers["cache-control"], "no-store");
    }
    let (status, response) = sent(mounted(inspector.clone()), get("/a/b")).await;
    assert_eq!(
        (status, response.headers().get("location")),
        (StatusCode::SEE_OTHER, Some(&HeaderValue::from_static("./b/")))
    );
    // As a service of its own, whatever the type of the body.
    let response = inspector.clone().call(Request::builder().uri("/").body(()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_overview_and_a_key_s_life_say_what_has_happened() {
    let cache = cache().await;
    let inspector = Inspector::new(&cache).values(|_, value| Some(value));
    looked_at(&cache, 7).await;
    let (status, overview) = json(&inspector, "/a/b/api/overview").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(overview["namespace"], "a \"quoted\" \\ name");
    let function = &overview["functions"][0];
    assert_eq!(
        (&function["name"], function["hits"].as_u64(), function["calls"].as_u64()),
        (&"looked at".into(), Some(1), Some(2))
    );
    let (_, life) = json(&inspector, "/a/b/api/key?function=looked+at&key=7").await;
    assert_eq!((&life["entry"]["state"], &life["entry"]["value"]), (&"fresh".into(), &"value 7".into()));
    let events: Vec<_> =
        life["events"].as_array().unwrap().iter().map(|event| event["what"].as_str().unwrap()).collect();
    assert_eq!(events.last(), Some(&"miss"), "the latest comes first: {events:?}");
    assert!(events[0].starts_with("stored, "), "{events:?}");
    let (_, fleet) = json(&inspector, "/a/b/api/fleet").await;
    assert_eq!(fleet.as_array().unwrap().len(), 1);
}

/// Killed by: hits that are not counted while somebody looks; hits that stay on the slow path when nobody does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hot_keys_are_counted_while_somebody_looks() {
    let cache = cache().await;
    let (inspector, calling) = (Inspector::new(&cache), cache.clone());
    let traffic = tokio::spawn(async move {
        loop {
            for id in [7, 7, 7, 8] {
                looked_at(&calling, id).await;
            }
            tokio::task::yield_now().await;
        }
    });
    let (status, hot) = json(&inspector, "/a/b/api/hot?ms=400").await;
    traffic.abort();
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&hot["keys"][0]["key"], &hot["keys"][1]["key"]), (&"7".into(), &"8".into()), "{hot}");
    assert!(hot["keys"][0]["hits"].as_u64() > hot["keys"][1]["hits"].as_u64());
}

/// Killed by: trust in a method or a path alone; a request without the header; a limit that is left out.
#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_a_reason() {
    let cache = cache().await;
    let read_only = Inspector::new(&cache);
    for (path, expected) in [
        ("/a/b/api/unknown", 404),
        ("/a/b/nothing", 404),
        ("/a/b/api/hot?ms=18446744073709551616", 400),
        ("/a/b/api/hot?ms=86400000", 400),
        ("/a/b/api/hot?ms=0", 400),
        ("/a/b/api/key?function=looked+at&key=%ff%fe", 400),
        ("/a/b/api/key?key=7", 400),
        ("/a/b/api/invalidate?function=looked+at&key=7", 405),
    ] {
        let (status, answer) = json(&read_only, path).await;
        assert_eq!(status.as_u16(), expected, "{path}");
        assert!(!answer["problem"].as_str().unwrap().is_empty(), "{path}");
    }
    let target = "/a/b/api/invalidate?function=looked+at&key=7";
    let with_header = |value: &'static str| {
        let mut request = post(target);
        request.headers_mut().insert("x-hybridcache", HeaderValue::from_static(value));
        request
    };
    let open = Inspector::new(&cache).actions_if(|_| true);
    let panics = Inspector::new(&cache).actions_if(|_| panic!("as asked"));
    for (inspector, request, expected) in [
        (&open, post(target), 403),
        (&open, with_header("0"), 403),
        (&read_only, with_header("1"), 403),
        (&panics, with_header("1"), 403),
    ] {
        assert_eq!(sent(mounted(inspector.clone()), request).await.0.as_u16(), expected);
    }
    assert!(looked_at_entry(&cache, 7).get().await.is_some(), "nothing was lost");
    assert_eq!(sent(mounted(open.clone()), with_header("1")).await.0.as_u16(), 200);
    assert!(looked_at_entry(&cache, 7).get().await.is_none());
    assert_eq!(sent(mounted(open), with_header("1")).await.0.as_u16(), 404, "it is gone");
}

/// Killed by: a panic that ends the request; a value of which the user has shown nothing.
#[tokio::test]
async fn values_are_shown_as_the_user_says_or_not_at_all() {
    let cache = cache().await;
    let of = async |inspector: Inspector| {
        json(&inspector, "/a/b/api/key?function=looked+at&key=7").await.1["entry"]["value"].clone()
    };
    assert_eq!(of(Inspector::new(&cache)).await, Value::Null);
    assert_eq!(of(Inspector::new(&cache).values(|_, _| None)).await, Value::Null);
    assert_eq!(of(Inspector::new(&cache).values(|name, _| Some(name.into()))).await, "looked at");
    assert_eq!(of(Inspector::new(&cache).values(|_, _| panic!("as asked"))).await, Value::Null);
    assert!(cache.warnings().iter().any(|warning| warning.kind == "inspector_values"));
}
