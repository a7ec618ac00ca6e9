//! Ranges and conditions.

use axum::extract::Request;

use crate::client::Reply;
use crate::site::{Site, configured, field, origin_headers, reply};

const PAGE: &str = "0123456789";

/// As a file server answers.
fn file(request: &Request, headers: &[(&str, &str)]) -> axum::response::Response {
    match field(request, "range").as_str() {
        "bytes=2-4" => reply(206, &[&[("content-range", "bytes 2-4/10")], headers].concat(), &PAGE[2..5]),
        _ => reply(200, headers, PAGE),
    }
}

/// Killed by: storing a part; asking for a part to store it as the whole.
#[tokio::test]
async fn case_20_ranges() {
    for configure in [configured, origin_headers] {
        let site = Site::new(configure, async |request: Request, _| {
            file(&request, &[("cache-control", "max-age=60"), ("etag", "\"x\"")])
        })
        .await;
        let part = async || site.ask("GET", "/").header("range", "bytes=2-4").send().await;
        assert!(matches!(part().await.said(), (206, "234") | (200, PAGE)));
        assert_eq!(site.get("/").await.said(), (200, PAGE));
        let calls = site.calls.count();
        let hit = part().await;
        assert_eq!((hit.said(), hit.header("content-range")), ((206, "234"), Some("bytes 2-4/10")));
        assert_eq!(site.get("/").await.said(), (200, PAGE));
        assert_eq!(site.ask("GET", "/").header("range", "bytes=99-").send().await.status.as_u16(), 416);
        assert_eq!(site.calls.count(), calls);
    }
}

/// Killed by: storing a 304; asking the handler when the client's condition can be answered.
#[tokio::test]
async fn case_21_conditions() {
    for configure in [configured, origin_headers] {
        let site = Site::new(configure, async |request: Request, _| {
            let headers = [("cache-control", "max-age=60"), ("etag", "\"x\"")];
            match field(&request, "if-none-match").as_str() {
                "\"x\"" => reply(304, &headers, ""),
                _ => reply(200, &headers, PAGE),
            }
        })
        .await;
        let condition = async || site.ask("GET", "/").header("if-none-match", "\"x\"").send().await;
        assert_eq!(condition().await.said(), (304, ""));
        assert_eq!(site.get("/").await.said(), (200, PAGE));
        let calls = site.calls.count();
        assert_eq!(calls, 1, "the handler was asked for the page, and the condition answered from it");
        assert_eq!(condition().await.said(), (304, ""));
        assert_eq!(site.ask("GET", "/").header("if-none-match", "\"y\"").send().await.said(), (200, PAGE));
        assert_eq!(site.calls.count(), calls);
    }
}

/// A handler that says 304 to whoever asks.
#[tokio::test]
async fn a_304_that_nobody_asked_for_is_not_stored() {
    let site = Site::new(configured, async |_: Request, nth: usize| match nth {
        1 => reply(304, &[("etag", "\"x\"")], ""),
        _ => reply(200, &[], PAGE),
    })
    .await;
    assert_eq!(site.ask("GET", "/").header("if-none-match", "\"x\"").send().await.status.as_u16(), 304);
    assert_eq!(site.get("/").await.said(), (200, PAGE));
}

/// Killed by: asking for the whole again; serving it without asking; not taking in the new head.
#[tokio::test]
async fn a_stale_page_is_confirmed_by_its_handler() {
    let site = Site::new(origin_headers, async |request: Request, nth: usize| {
        let nth = nth.to_string();
        match field(&request, "if-none-match").as_str() {
            "\"x\"" => reply(304, &[("cache-control", "max-age=600"), ("etag", "\"x\""), ("nth", &nth)], ""),
            _ => reply(200, &[("cache-control", "max-age=0"), ("etag", "\"x\""), ("nth", &nth)], PAGE),
        }
    })
    .await;
    assert_eq!(site.get("/").await.said(), (200, PAGE));
    for _ in 0..2 {
        let confirmed = site.get("/").await;
        assert_eq!((confirmed.said(), confirmed.header("nth")), ((200, PAGE), Some("2")));
    }
    assert_eq!(site.calls.count(), 2);
}

/// A 304 that a handler says to whoever has "x", with these fields; and what then comes of three requests.
async fn confirmed_by(fields: &'static [(&str, &str)]) -> (Vec<Reply>, usize) {
    let site = Site::new(origin_headers, move |request: Request, nth: usize| async move {
        let nth = ("nth", nth.to_string());
        match field(&request, "if-none-match").as_str() {
            "\"x\"" => reply(304, &[&[(nth.0, nth.1.as_str())], fields].concat(), ""),
            _ => reply(200, &[("cache-control", "max-age=0"), ("etag", "\"x\""), (nth.0, &nth.1)], PAGE),
        }
    })
    .await;
    let replies = [site.get("/").await, site.get("/").await, site.get("/").await];
    (replies.into(), site.calls.count())
}

/// Killed by: taking in its head; failing; keeping the page, so that all who come get no further.
#[tokio::test]
async fn a_304_about_something_else_voids_what_is_stored() {
    let (replies, calls) = confirmed_by(&[("etag", "\"y\"")]).await;
    let nths: Vec<_> = replies.iter().map(|reply| (reply.said(), reply.header("nth"))).collect();
    assert_eq!(nths, [((200, PAGE), Some("1")), ((200, PAGE), Some("1")), ((200, PAGE), Some("3"))]);
    assert_eq!(calls, 3);
}

/// Killed by: keeping it; saying twice what was done.
#[tokio::test]
async fn a_304_may_say_that_nothing_is_kept_any_more() {
    let (replies, calls) = confirmed_by(&[("cache-control", "no-store")]).await;
    let nths: Vec<_> = replies.iter().map(|reply| (reply.said(), reply.header("nth"))).collect();
    assert_eq!(nths, [((200, PAGE), Some("1")), ((200, PAGE), Some("2")), ((200, PAGE), Some("3"))]);
    assert_eq!(replies[1].headers.get_all("cache-status").iter().collect::<Vec<_>>(), ["test; fwd=stale"]);
    assert_eq!(calls, 3);
}
