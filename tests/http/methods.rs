//! Methods, and requests that mean another than they name.

use crate::setups::Setup;
use crate::site::{Site, configured, field, origin_headers, reply};

/// Killed by: storing what is said to HEAD; a body in the answer to HEAD; a HEAD that fills nothing.
#[tokio::test]
async fn case_3_head_and_get() {
    for setup in Setup::all() {
        let handler = async |request: axum::extract::Request, nth: usize| {
            reply(200, &[("cache-control", "max-age=60")], format!("{} {nth}", request.method()))
        };
        let site = setup.site(|builder| builder, handler).await;
        for is_hit in [false, true] {
            let head = site.ask("HEAD", "/").send().await;
            assert_eq!((head.said(), head.header("content-length")), ((200, ""), Some("5")), "{setup:?}");
            assert_eq!(head.is_hit(), is_hit, "{setup:?}");
            assert_eq!(site.get("/").await.said(), (200, "GET 1"), "{setup:?}");
        }
        assert_eq!(site.calls.count(), 1, "{setup:?}");
    }
}

/// Killed by: answering POST from the store; not invalidating; invalidating before the handler has answered with success.
#[tokio::test]
async fn case_4_unsafe_methods_reach_the_handler_and_invalidate() {
    let site = Site::new(origin_headers, async |request: axum::extract::Request, nth: usize| {
        let status = if field(&request, "fail") == "yes" { 500 } else { 200 };
        reply(status, &[("cache-control", "max-age=60")], format!("{} {nth}", request.method()))
    })
    .await;
    assert_eq!(site.get("/p").await.body, "GET 1");
    assert_eq!(site.ask("POST", "/p").header("fail", "yes").send().await.body, "POST 2");
    assert_eq!(site.get("/p").await.body, "GET 1", "an error changes nothing");
    let mut calls = 2;
    for method in ["POST", "POST", "PUT", "DELETE", "PATCH"] {
        assert_eq!(site.ask(method, "/p").send().await.body, format!("{method} {}", calls + 1));
        assert_eq!(site.get("/p").await.body, format!("GET {}", calls + 2), "{method}");
        assert_eq!(site.get("/p").await.body, format!("GET {}", calls + 2), "{method}");
        calls += 2;
    }
}

/// Killed by: answering a request with a body from the store, or storing what is said to one.
#[tokio::test]
async fn case_5_a_get_with_a_body_is_bypassed() {
    let site = Site::new(configured, async |request: axum::extract::Request, _| {
        axum::body::to_bytes(request.into_body(), 1000).await.unwrap()
    })
    .await;
    assert_eq!(site.ask("GET", "/").body("evil").send().await.body, "evil");
    assert_eq!(site.get("/").await.body, "");
    assert_eq!(site.ask("GET", "/").body("other").send().await.body, "other");
    assert_eq!(site.get("/").await.body, "");
    assert_eq!(site.calls.count(), 3);
}

/// Killed by: an override that reaches a handler whose answer is stored; one that is shown and stored.
#[tokio::test]
async fn case_7_overrides_of_method_and_path_are_hidden_or_bypassed() {
    let overrides = ["x-http-method-override", "x-method-override", "x-original-url", "x-rewrite-url"];
    let heed = move |request: axum::extract::Request, _| {
        let said: String = overrides.iter().map(|name| field(&request, name)).collect();
        async { said }
    };
    let site = Site::new(configured, heed).await;
    for name in overrides {
        assert_eq!(site.ask("GET", "/").header(name, "/evil").send().await.body, "");
        assert_eq!(site.ask("POST", "/").header(name, "/evil").send().await.body, "/evil", "nothing is stored of it");
    }
    let site = Site::new(|builder| configured(builder).show_unkeyed(overrides), heed).await;
    for name in overrides {
        assert_eq!(site.ask("GET", "/").header(name, "/evil").send().await.body, "/evil");
        assert_eq!(site.get("/").await.body, "");
        assert_eq!(site.ask("GET", "/").header(name, "/evil").send().await.body, "/evil");
    }
    let site = Site::new(|builder| configured(builder).hide_unkeyed(overrides), heed).await;
    assert_eq!(site.ask("GET", "/").header("x-original-url", "/evil").send().await.body, "");
    assert_eq!(site.calls.count(), 1);
    assert!(site.get("/").await.is_hit());
    assert_eq!(site.ask("POST", "/").header("x-original-url", "/evil").send().await.body, "");
}

/// Killed by: invalidating only when the answer is on its way.
#[tokio::test]
async fn a_writer_whose_client_goes_away_invalidates() {
    let site = Site::new(configured, async |request: axum::extract::Request, nth: usize| {
        if request.method() == "POST" {
            std::future::pending::<()>().await;
        }
        nth.to_string()
    })
    .await;
    assert_eq!(site.get("/p").await.body, "1");
    let writer = tokio::spawn(site.ask("POST", "/p").send());
    site.calls.reach(2).await;
    assert_eq!(site.get("/p").await.body, "1");
    writer.abort();
    assert_eq!(site.get_until("/p", |reply| reply.body != "1").await.body, "3");
}

/// Killed by: taking a call for a change of what its path has.
#[tokio::test]
async fn grpc_is_left_alone() {
    let site = Site::new(configured, async |_: axum::extract::Request, nth: usize| nth.to_string()).await;
    assert_eq!(site.get("/p").await.body, "1");
    assert_eq!(site.ask("POST", "/p").header("content-type", "application/grpc+proto").send().await.body, "2");
    assert_eq!(site.get("/p").await.body, "1");
}
