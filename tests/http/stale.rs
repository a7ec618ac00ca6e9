//! Stale answers: when they are served, when they stand in, and what replaces them.

use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use hybridcache::http::StaleOn;

use crate::site::{Site, minutes, origin_headers, pass_fresh_time, reply, soon_stale};

/// The first answer is a page; then it does what the path says.
async fn page_then(request: Request, nth: usize) -> Response {
    if nth == 1 {
        return reply(200, &[], "page");
    }
    match &request.uri().path()[1..] {
        "late" => std::future::pending().await,
        "panic" => panic!("the handler panics"),
        "again" => reply(200, &[], format!("page {nth}")),
        status => reply(status.parse().unwrap(), &[], format!("error {nth}")),
    }
}

fn impatient(builder: hybridcache::http::Builder) -> hybridcache::http::Builder {
    soon_stale(builder).timeout(Duration::from_millis(100))
}

/// Killed by: waiting for the refresh; not refreshing; refreshing with each request.
#[tokio::test]
async fn a_stale_page_is_served_while_one_refresh_runs() {
    let site = Site::new(impatient, page_then).await;
    assert_eq!(site.get("/again").await.body, "page");
    pass_fresh_time().await;
    assert_eq!(site.get("/again").await.body, "page");
    assert_eq!(site.get_until("/again", |reply| reply.body != "page").await.body, "page 2");
}

/// Killed by: an error that replaces a stale page; a page without its time in `Cache-Status`.
#[tokio::test]
async fn case_18_stale_pages_stand_in_for_failures() {
    for failure in ["500", "502", "503", "504", "late", "panic"] {
        let site = Site::new(impatient, page_then).await;
        let path = format!("/{failure}");
        assert_eq!(site.get(&path).await.body, "page");
        pass_fresh_time().await;
        for _ in 0..3 {
            let stale = site.get(&path).await;
            assert_eq!(stale.said(), (200, "page"), "{failure}");
            assert!(
                stale.cache().starts_with("test; hit; ttl=-") || stale.cache().contains("ttl=0"),
                "{}",
                stale.cache()
            );
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        site.calls.reach(2).await;
    }
}

/// Killed by: a stale page that masks them.
#[tokio::test]
async fn case_18_gone_replaces_a_stale_page() {
    for status in [403, 404, 410] {
        let site = Site::new(soon_stale, page_then).await;
        let path = format!("/{status}");
        assert_eq!(site.get(&path).await.body, "page");
        pass_fresh_time().await;
        let gone = site.get_until(&path, |reply| reply.body != "page").await;
        assert_eq!(gone.status.as_u16(), status);
        assert_eq!(site.get(&path).await.status.as_u16(), status);
    }
}

/// Where it says so, under `OriginHeaders`: the page has to be asked for before it is served, and stands in if that fails.
#[tokio::test]
async fn stale_if_error_stands_in_after_the_handler_was_asked() {
    let site = Site::new(origin_headers, async |_: Request, nth: usize| match nth {
        1 => reply(200, &[("cache-control", "max-age=1, stale-if-error=600")], "page"),
        2 => reply(503, &[], "error"),
        _ => reply(200, &[("cache-control", "no-store")], "new"),
    })
    .await;
    assert_eq!(site.get("/").await.body, "page");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let stale = site.get("/").await;
    assert_eq!(stale.said(), (200, "page"));
    assert!(stale.cache().contains("fwd=stale") && stale.cache().contains("fwd-status=503"), "{}", stale.cache());
    assert_eq!(site.get("/").await.body, "new");
    assert_eq!(site.calls.count(), 3);
}

/// Killed by: serving it stale because of the configured time, or of the client.
#[tokio::test]
async fn case_19_must_revalidate_forbids_stale_answers() {
    let handler = async |request: Request, nth: usize| match (nth, request.uri().path()) {
        (1, _) => reply(200, &[("cache-control", "max-age=1, must-revalidate")], "page"),
        (_, "/late") => std::future::pending().await,
        (_, "/panic") => panic!("the handler panics"),
        (_, _) => reply(502, &[], "no origin"),
    };
    for path in ["/down", "/late", "/panic"] {
        let short = Duration::from_millis(100);
        let half_a_day = minutes(12 * 60);
        let configured = Site::new(move |builder| soon_stale(builder).ttl(half_a_day).timeout(short), handler).await;
        let origin = Site::new(
            move |builder| origin_headers(builder).ttl(half_a_day).timeout(short).stale_on(StaleOn::SERVER_ERRORS),
            handler,
        )
        .await;
        assert_eq!([configured.get(path).await.body, origin.get(path).await.body], ["page", "page"]);
        tokio::time::sleep(Duration::from_millis(1100)).await;
        for site in [configured, origin] {
            let reply = site.ask("GET", path).header("cache-control", "max-stale").send().await;
            assert_eq!(reply.status.as_u16(), 504, "{path}");
        }
    }
}

/// Killed by: 504 in place of what the handler says; a panic that is swallowed.
#[tokio::test]
async fn without_a_stale_page_the_handlers_own_error() {
    let site = Site::new(impatient, async |request: Request, nth| match request.uri().path() {
        "/late" => std::future::pending().await,
        "/panic" => panic!("the handler panics"),
        _ => reply(503, &[("retry-after", "7")], format!("error {nth}")),
    })
    .await;
    let failed = site.get("/").await;
    assert_eq!((failed.said(), failed.header("retry-after")), ((503, "error 1"), Some("7")));
    assert_eq!(site.get("/late").await.status.as_u16(), 504);
    assert!(site.ask("GET", "/panic").try_send().await.is_err(), "the connection ends, as without the layer");
}

/// Killed by: `stale_on` that is not looked at.
#[tokio::test]
async fn failures_that_are_not_listed_replace_it() {
    let site = Site::new(|builder| soon_stale(builder).stale_on(StaleOn::TIMEOUT), page_then).await;
    assert_eq!(site.get("/503").await.body, "page");
    pass_fresh_time().await;
    assert_eq!(site.get_until("/503", |reply| reply.body != "page").await.status.as_u16(), 503);
}

/// A refresh that only a request like all others may make.
///
/// Killed by: refreshing with the request that found it stale, whatever it is.
#[tokio::test]
async fn a_head_refreshes_nothing() {
    let site = Site::new(soon_stale, async |_: Request, nth: usize| reply(200, &[], format!("page {nth}"))).await;
    assert_eq!(site.get("/").await.body, "page 1");
    pass_fresh_time().await;
    let head = site.ask("HEAD", "/").send().await;
    assert_eq!((head.said(), head.header("content-length")), ((200, ""), Some("6")));
    assert_eq!(site.get("/").await.body, "page 1");
    assert_eq!(site.get_until("/", |reply| reply.body != "page 1").await.body, "page 2");
}

/// Killed by: the same; what it finds replaces the page with a mark.
#[tokio::test]
async fn a_request_that_may_not_be_stored_refreshes_nothing() {
    let site = Site::new(origin_headers, async |_: Request, nth: usize| {
        reply(200, &[("cache-control", "max-age=1, stale-while-revalidate=600, public")], format!("page {nth}"))
    })
    .await;
    assert_eq!(site.get("/").await.body, "page 1");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for (name, value) in [("cache-control", "no-store"), ("cookie", "sid=A")] {
        assert_eq!(site.ask("GET", "/").header(name, value).send().await.body, "page 1");
    }
    assert_eq!(site.calls.count(), 1);
    assert_eq!(site.get("/").await.body, "page 1");
    assert_eq!(site.get_until("/", |reply| reply.body != "page 1").await.body, "page 2");
}

/// Where a page may stand in for some failures, and the load ends by another.
///
/// Killed by: a page that stands in for whatever ended the load.
#[tokio::test]
async fn only_what_is_listed_is_stood_in_for() {
    let handler = async |request: Request, nth: usize| match (nth, request.uri().path()) {
        (1, _) => reply(200, &[("cache-control", "max-age=1, stale-if-error=600")], "page"),
        (_, "/late") => std::future::pending().await,
        (_, "/panic") => panic!("the handler panics"),
        _ => reply(500, &[], "error"),
    };
    let cases = [
        ("/late", StaleOn::TIMEOUT, Some(200)),
        ("/late", StaleOn::PANIC, Some(504)),
        ("/panic", StaleOn::PANIC, Some(200)),
        ("/panic", StaleOn::TIMEOUT, None),
        ("/500", StaleOn::INTERNAL, Some(200)),
        ("/500", StaleOn::UNAVAILABLE, Some(500)),
    ];
    let mut sites = Vec::new();
    for (path, stale_on, _) in cases {
        let short = Duration::from_millis(100);
        sites.push(Site::new(move |builder| origin_headers(builder).timeout(short).stale_on(stale_on), handler).await);
        assert_eq!(sites[sites.len() - 1].get(path).await.body, "page");
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for ((path, stale_on, expected), site) in cases.into_iter().zip(sites) {
        let status = site.ask("GET", path).try_send().await.ok().map(|reply| reply.status.as_u16());
        assert_eq!(status, expected, "{path} {stale_on:?}");
    }
}
