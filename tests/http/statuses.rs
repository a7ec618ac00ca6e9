//! Which statuses are stored.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::Request;

use hybridcache::http::CachePolicy;
use tokio::sync::Semaphore;

use crate::setups::{Setup, bad_or_page};
use crate::site::{Site, configured, minutes, origin_headers, reply, until};

fn status_of(request: &Request) -> u16 {
    request.uri().path()[1..].parse().unwrap()
}

/// Killed by: storing errors under configured times; never storing them.
#[tokio::test]
async fn case_17_errors_are_not_stored_unless_that_is_asked_for() {
    let handler = async |request: Request, nth: usize| reply(status_of(&request), &[], nth.to_string());
    let site = Site::new(configured, handler).await;
    for status in [400, 404, 431, 500, 302, 204] {
        let (one, other) = (site.get(&format!("/{status}")).await, site.get(&format!("/{status}")).await);
        assert_eq!((one.status.as_u16(), other.status.as_u16()), (status, status));
        assert!(!other.is_hit(), "{status}");
    }
    assert_eq!(site.calls.count(), 12);
    let site = Site::new(|builder| configured(builder).negative(minutes(1)), handler).await;
    for status in [401, 403, 404, 410, 500] {
        site.get(&format!("/{status}")).await;
        assert!(site.get(&format!("/{status}")).await.is_hit(), "{status}");
    }
    let site = Site::new(|builder| configured(builder).negative(Duration::from_millis(50)), handler).await;
    site.get("/404").await;
    let anew = site.get_until("/404", |reply| !reply.is_hit()).await;
    assert_eq!(anew.said(), (404, "2"));
}

/// What is accepted instead of 200.
#[tokio::test]
async fn statuses_below_400_can_be_accepted() {
    let accepting = |builder| configured(builder).accept_response(|response| response.status.as_u16() != 204);
    let site =
        Site::new(accepting, async |request: Request, nth: usize| reply(status_of(&request), &[], nth.to_string()))
            .await;
    for (status, is_stored) in
        [(200, true), (301, true), (204, false), (404, false), (500, false), (206, false), (304, false)]
    {
        let path = format!("/{status}");
        site.get(&path).await;
        assert_eq!(site.get(&path).await.is_hit(), is_stored, "{status}");
    }
}

/// Killed by: `accept_response` that widens what the standard allows.
#[tokio::test]
async fn accepting_makes_nothing_public() {
    for configure in [configured, origin_headers] {
        let accepting = |builder| configure(builder).accept_response(|_| true);
        let site = Site::new(accepting, async |_: Request, nth: usize| {
            reply(200, &[("cache-control", "no-store, max-age=60")], nth.to_string())
        })
        .await;
        assert_eq!([site.get("/").await.body, site.get("/").await.body], ["1", "2"]);
    }
}

/// Statuses about one request or its client.
const ABOUT_THE_REQUEST: [u16; 19] =
    [400, 406, 407, 408, 411, 412, 413, 415, 416, 417, 421, 422, 425, 426, 428, 429, 431, 451, 511];

/// Killed by: storing them for `negative`, for `max-age` or for a policy; a mark that they leave.
#[tokio::test]
async fn a_status_about_the_request_leaves_nothing() {
    for setup in Setup::all() {
        let negative = |builder: hybridcache::http::Builder| builder.negative(minutes(1));
        let site = setup
            .site(negative, async |request: Request, nth: usize| {
                let status: u16 = request.uri().path()[1..].parse().unwrap();
                let policy = (request.uri().query() == Some("policy")).then(|| CachePolicy::store(minutes(1)));
                let reply = reply(status, &[("cache-control", "public, max-age=60")], nth.to_string());
                (policy.map(Extension), reply)
            })
            .await;
        for status in ABOUT_THE_REQUEST {
            for path in [format!("/{status}"), format!("/{status}?policy")] {
                let (one, other) = (site.get(&path).await, site.get(&path).await);
                assert_eq!((one.status.as_u16(), other.status.as_u16()), (status, status));
                assert_ne!(one.body, other.body, "{setup:?}: {path}");
            }
        }
        assert_eq!(setup.entries(), 0, "{setup:?}: marks");
    }
}

/// Killed by: such a status that replaces a page, or a mark in its place.
#[tokio::test]
async fn a_status_about_the_request_replaces_no_page() {
    for setup in Setup::all() {
        let soon = |builder: hybridcache::http::Builder| builder.fresh_for(Duration::from_millis(900));
        let site = setup.site(soon, async |request: Request, nth: usize| bad_or_page(&request, nth)).await;
        let paths: Vec<_> = [400, 406, 416, 429, 431, 451].map(|status| (status, format!("/{status}"))).into();
        for (_, path) in &paths {
            assert!(site.get(path).await.body.starts_with("page"));
        }
        tokio::time::sleep(Duration::from_millis(1100)).await;
        for (nth, (status, path)) in paths.iter().enumerate() {
            let page = format!("page {}", nth + 1);
            let bad = site.ask("GET", path).header("bad", &status.to_string()).send().await;
            assert_eq!(bad.said(), (200, &*page), "{setup:?}: {status}");
            let calls = paths.len() + nth + 1;
            site.calls.reach(calls).await;
        }
        // Their refreshes have ended, or will end in the same way.
        tokio::time::sleep(Duration::from_millis(100)).await;
        for (nth, (status, path)) in paths.iter().enumerate() {
            let kept = site.get(path).await;
            assert_eq!(kept.said(), (200, &*format!("page {}", nth + 1)), "{setup:?}: {status}");
        }
    }
}

/// Killed by: a mark that one bad request leaves, so that all others ask for themselves; waiters who do so at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_request_makes_nobody_ask_twice() {
    for setup in Setup::all() {
        let gate = Arc::new(Semaphore::new(0));
        let waiting = gate.clone();
        let site = setup
            .site(
                |builder| builder,
                move |request: Request, nth: usize| {
                    let waiting = waiting.clone();
                    async move {
                        waiting.acquire().await.unwrap().forget();
                        bad_or_page(&request, nth)
                    }
                },
            )
            .await;
        let good = || (0..50).map(|_| tokio::spawn(site.ask("GET", "/p").send())).collect::<Vec<_>>();
        // Before its answer, and after it.
        let bad = tokio::spawn(site.ask("GET", "/p").header("bad", "431").send());
        site.calls.reach(1).await;
        let asked = good();
        until(|| site.cache.function_stats("http").joined >= 50).await;
        gate.add_permits(1);
        assert_eq!(bad.await.unwrap().status.as_u16(), 431);
        gate.add_permits(1);
        for asked in asked {
            assert_eq!(asked.await.unwrap().said(), (200, "page 2"), "{setup:?}");
        }
        site.layer.invalidate("/p").await.unwrap();
        gate.add_permits(1);
        assert_eq!(site.ask("GET", "/p").header("bad", "400").send().await.body, "bad 3");
        let asked = good();
        site.calls.reach(4).await;
        gate.add_permits(1);
        for asked in asked {
            assert_eq!(asked.await.unwrap().said(), (200, "page 4"), "{setup:?}");
        }
        assert_eq!(site.calls.count(), 4, "{setup:?}");
    }
}
