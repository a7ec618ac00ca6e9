//! Tags and groups, which only answers tell.

use std::sync::Arc;

use axum::Extension;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use hybridcache::HybridCache;
use hybridcache::http::CachePolicy;
use hybridcache_test_support::RedisServer;
use tokio::sync::Notify;

use crate::site::{Calls, Site, configured, minutes, origin_headers, reply, soon_stale};

fn tagged(tag: &str, body: impl Into<String>) -> Response {
    (Extension(CachePolicy::tagged([tag])), reply(200, &[], body.into())).into_response()
}

/// A handler that makes its answers and keeps the `held`-th back: it tells the first of the two that it has, and waits for the
/// other.
async fn holding(
    held: usize,
    answer: impl Fn(usize) -> Response + Clone + Send + Sync + 'static,
) -> (Site, Arc<Notify>, Arc<Notify>) {
    let (going, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (began, wait) = (going.clone(), go.clone());
    let site = Site::new(configured, move |_: Request, nth: usize| {
        let (began, wait, answer) = (began.clone(), wait.clone(), answer(nth));
        async move {
            if nth == held {
                began.notify_one();
                wait.notified().await;
            }
            answer
        }
    })
    .await;
    (site, going, go)
}

/// Killed by: a page that forgets its tags; a tag that voids what does not carry it.
#[tokio::test]
async fn a_tag_invalidates_what_carries_it() {
    let site = Site::new(configured, async |request: Request, nth: usize| {
        tagged(&request.uri().path()[1..], format!("page {nth}"))
    })
    .await;
    for _ in 0..2 {
        assert_eq!([site.get("/a").await.body, site.get("/b").await.body], ["page 1", "page 2"]);
    }
    site.layer.invalidate_tag("a").await.unwrap();
    assert_eq!([site.get("/a").await.body, site.get("/b").await.body], ["page 3", "page 2"]);
    assert_eq!(site.get("/a").await.body, "page 3");
    site.layer.invalidate_tag("a").await.unwrap();
    assert_eq!([site.get("/a").await.body, site.get("/b").await.body], ["page 4", "page 2"]);
}

/// A tag that nobody has heard of when it is invalidated, while the answer that will carry it is made.
///
/// Killed by: not asking what was voided since the load began.
#[tokio::test]
async fn a_tag_that_is_invalidated_during_the_load_is_not_hidden() {
    let (site, going, go) = holding(1, |nth| tagged("a", format!("page {nth}"))).await;
    let first = tokio::spawn(site.ask("GET", "/p").send());
    going.notified().await;
    site.layer.invalidate_tag("a").await.unwrap();
    go.notify_one();
    assert_eq!(first.await.unwrap().body, "page 1", "it was asked for before");
    assert_eq!(site.get("/p").await.body, "page 2");
    assert_eq!(site.get("/p").await.body, "page 2");
}

/// The same for a path.
///
/// Killed by: capturing the path's stamp after the load.
#[tokio::test]
async fn a_path_that_is_invalidated_during_the_load_is_not_stored() {
    for vary in [&[][..], &[("vary", "accept")]] {
        let (site, going, go) = holding(1, move |nth| reply(200, vary, format!("page {nth}"))).await;
        let first = tokio::spawn(site.ask("GET", "/p").send());
        going.notified().await;
        site.layer.invalidate("/p").await.unwrap();
        go.notify_one();
        assert_eq!(first.await.unwrap().body, "page 1");
        assert_eq!(site.get("/p").await.body, "page 2");
        assert_eq!(site.get("/p").await.body, "page 2");
    }
}

/// The same behind a mark, where each asks for himself and what may be stored is.
///
/// Killed by: stamps that are captured after the load, or not at all.
#[tokio::test]
async fn a_path_that_is_invalidated_behind_a_mark_is_not_stored() {
    let (site, going, go) = holding(2, |nth| {
        let headers: &[(&str, &str)] = if nth == 1 { &[("cache-control", "private")] } else { &[] };
        reply(200, headers, format!("page {nth}"))
    })
    .await;
    assert_eq!(site.get("/p").await.body, "page 1");
    let second = tokio::spawn(site.ask("GET", "/p").send());
    going.notified().await;
    site.layer.invalidate("/p").await.unwrap();
    go.notify_one();
    assert_eq!(second.await.unwrap().body, "page 2");
    assert_eq!(site.get("/p").await.body, "page 3");
    assert_eq!(site.get("/p").await.body, "page 3");
}

/// What it carries beside, when it is refreshed.
#[tokio::test]
async fn a_tag_that_comes_with_a_refresh_counts() {
    let site = Site::new(soon_stale, async |_: Request, nth: usize| {
        tagged(if nth == 1 { "a" } else { "b" }, format!("page {nth}"))
    })
    .await;
    assert_eq!(site.get("/p").await.body, "page 1");
    let refreshed = site.get_until("/p", |reply| reply.body != "page 1").await.body;
    site.layer.invalidate_tag("b").await.unwrap();
    assert_ne!(site.get("/p").await.body, refreshed);
}

/// Killed by: a page in Redis under a tag's number from after its load.
#[tokio::test]
async fn tagged_pages_are_shared_once_their_tags_are_known() {
    let (redis, calls) = (RedisServer::start(), Calls::default());
    let mut sites = Vec::new();
    for _ in 0..3 {
        let cache =
            HybridCache::builder().redis(redis.url()).redis_budget(crate::site::GENEROUS).build().await.unwrap();
        let handler = async |_: Request, nth: usize| tagged("a", format!("page {nth}"));
        sites.push(Site::with(cache, calls.clone(), configured, handler).await);
    }
    assert_eq!(sites[0].get("/p").await.body, "page 1");
    assert_eq!(sites[1].get("/p").await.body, "page 2", "the first told the tags, not the page");
    assert_eq!(sites[2].get("/p").await.body, "page 2");
    sites[0].layer.invalidate_tag("a").await.unwrap();
    assert_eq!(sites[0].get("/p").await.body, "page 3");
    for site in &sites {
        assert_eq!(site.get_until("/p", |reply| reply.body == "page 3").await.body, "page 3");
    }
    assert_eq!(calls.count(), 3);
}

/// RFC 9875.
///
/// Killed by: groups that reach beyond their origin.
#[tokio::test]
async fn groups_of_the_answer_are_tags() {
    let site = Site::new(origin_headers, async |request: Request, nth: usize| match request.method().as_str() {
        "POST" => reply(200, &[("cache-group-invalidation", "\"a\"")], ""),
        _ => reply(200, &[("cache-control", "max-age=60"), ("cache-groups", "\"a\", \"c\"")], nth.to_string()),
    })
    .await;
    let get = async |host: &str| site.ask("GET", "/p").header("host", host).send().await.body;
    assert_eq!([get("one").await, get("two").await], ["1", "2"]);
    site.ask("POST", "/other").header("host", "one").send().await;
    assert_eq!([get("one").await, get("two").await], ["4", "2"]);
}

/// Killed by: times that do not come from the policy; a policy that makes public what is not.
#[tokio::test]
async fn a_handler_has_its_say() {
    let site = Site::new(soon_stale, async |request: Request, nth: usize| {
        let policy = match request.uri().path() {
            "/never" => CachePolicy::no_store(),
            _ => CachePolicy::store(minutes(10)),
        };
        let headers: &[(&str, &str)] = if request.uri().path() == "/cookie" { &[("set-cookie", "a=1")] } else { &[] };
        let status = if request.uri().path() == "/404" { 404 } else { 200 };
        (Extension(policy), reply(status, headers, nth.to_string())).into_response()
    })
    .await;
    for (path, is_stored) in [("/never", false), ("/404", true), ("/cookie", false), ("/", true)] {
        let first = site.get(path).await;
        crate::site::pass_fresh_time().await;
        let second = site.get(path).await;
        assert_eq!(second.body == first.body, is_stored, "{path}");
        let ttl = second.cache().split("ttl=").nth(1).map(|ttl| ttl.split(';').next().unwrap().parse::<u64>().unwrap());
        assert_eq!(ttl.is_some_and(|ttl| ttl > 500), is_stored, "not the layer's time: {}", second.cache());
    }
}
