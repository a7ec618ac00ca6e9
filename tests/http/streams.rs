//! Bodies whose length is not known beforehand: handed through, and kept.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::BodyExt;
use hybridcache::http::Builder;
use tokio::sync::Semaphore;

use crate::setups::Setup;
use crate::site::{Site, field, reply, until};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

/// These pieces, one after the other.
fn pieces(pieces: &[&'static str]) -> Body {
    Body::from_stream(stream::iter(pieces.iter().map(|piece| Ok::<_, Infallible>(*piece)).collect::<Vec<_>>()))
}

/// The first piece at once, each other one for a permit; `error`: then it fails.
fn gated(gate: Arc<Semaphore>, all: &'static [&'static str], error: bool) -> Body {
    Body::from_stream(stream::unfold(0, move |nth| {
        let gate = gate.clone();
        async move {
            if nth > 0 {
                gate.acquire().await.unwrap().forget();
            }
            match all.get(nth) {
                Some(piece) => Some((Ok(Bytes::from_static(piece.as_bytes())), nth + 1)),
                None if error => Some((Err(std::io::Error::other("the origin is gone")), nth + 1)),
                None => None,
            }
        }
    }))
}

async fn joined(site: &Site, count: u64) {
    until(|| site.cache.function_stats("http").joined >= count).await;
}

/// Killed by: keeping bodies of a known length only.
#[tokio::test]
async fn bodies_of_unknown_length_are_stored() {
    for setup in Setup::all() {
        let site = setup
            .site(
                |builder| builder,
                async |_: Request, nth: usize| {
                    reply(200, &[FRESH, ("nth", &nth.to_string())], pieces(&["0123", "", "456789"]))
                },
            )
            .await;
        let first = site.get("/").await;
        assert_eq!((first.said(), first.header("content-length")), ((200, "0123456789"), None), "{setup:?}");
        assert!(first.cache().ends_with("detail=streamed"), "{}", first.cache());
        let hit = site.get_until("/", |reply| reply.is_hit()).await;
        assert_eq!((hit.said(), hit.header("content-length")), ((200, "0123456789"), Some("10")), "{setup:?}");
        assert_eq!(site.ask("GET", "/").header("range", "bytes=2-4").send().await.said(), (206, "234"), "{setup:?}");
        assert_eq!(site.calls.count(), 1, "{setup:?}");
    }
}

/// Killed by: reading a body before it is handed on; waiters who get what has come so far.
#[tokio::test]
async fn a_streamed_body_begins_at_once_and_its_waiters_get_all_of_it() {
    for setup in Setup::all() {
        let gate = Arc::new(Semaphore::new(0));
        let stream = gate.clone();
        let handler = move |_: Request, _| {
            let body = gated(stream.clone(), &["one", "two", "three"], false);
            async move { reply(200, &[FRESH], body) }
        };
        let site = setup.site(|builder| builder, handler).await;
        let mut body = site.ask("GET", "/").open().await.unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
        let waiters: Vec<_> = (0..5).map(|_| tokio::spawn(site.ask("GET", "/").send())).collect();
        joined(&site, 5).await;
        gate.add_permits(1);
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "two");
        assert!(waiters.iter().all(|waiter| !waiter.is_finished()), "{setup:?}");
        // The requester goes away: that is not the end of the load.
        drop(body);
        gate.add_permits(2);
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap().said(), (200, "onetwothree"), "{setup:?}");
        }
        assert_eq!(site.calls.count(), 1, "{setup:?}");
    }
}

/// Killed by: taking an error for the end; a waiter who gets what came before it.
#[tokio::test]
async fn a_streamed_body_that_fails_is_not_stored() {
    for setup in Setup::all() {
        let gate = Arc::new(Semaphore::new(0));
        let stream = gate.clone();
        let handler = move |_: Request, nth: usize| {
            let body = match nth {
                1 => gated(stream.clone(), &["secret", "two"], true),
                _ => pieces(&["whole"]),
            };
            async move { reply(200, &[FRESH], body) }
        };
        let site = setup.site(|builder| builder, handler).await;
        let first = tokio::spawn(site.ask("GET", "/").try_send());
        site.calls.reach(1).await;
        let waiters: Vec<_> = (0..5).map(|_| tokio::spawn(site.ask("GET", "/").send())).collect();
        joined(&site, 5).await;
        gate.add_permits(2);
        assert!(first.await.unwrap().is_err(), "{setup:?}: a body that ends early");
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap().said(), (200, "whole"), "{setup:?}");
        }
        assert_eq!(site.get_until("/", |reply| reply.is_hit()).await.said(), (200, "whole"), "{setup:?}");
        assert!(!setup.has_in_redis("secret"), "{setup:?}");
    }
}

/// Killed by: cutting it at the limit; keeping what is beyond.
#[tokio::test]
async fn a_streamed_body_over_the_limit_goes_through() {
    for setup in Setup::all() {
        let limited = |builder: Builder| builder.body_limit(10);
        let handler = async |request: Request, _| match request.uri().path() {
            "/limit" => reply(200, &[FRESH], pieces(&["01234", "56789"])),
            _ => reply(200, &[FRESH], pieces(&["secret", "56789", "abc", "def"])),
        };
        let site = setup.site(limited, handler).await;
        for _ in 0..3 {
            let long = site.get("/long").await;
            assert_eq!(long.said(), (200, "secret56789abcdef"), "{setup:?}");
            assert!(!long.is_hit());
        }
        assert_eq!(site.calls.count(), 3, "{setup:?}");
        assert!(!setup.has_in_redis("secret"), "{setup:?}");
        site.get("/limit").await;
        assert_eq!(site.get_until("/limit", |reply| reply.is_hit()).await.body, "0123456789", "{setup:?}");
    }
}

/// Killed by: a `timeout` that ends a body on its way; waiters who wait for one without an end.
#[tokio::test]
async fn a_body_without_an_end_is_its_requesters_alone() {
    for setup in Setup::all() {
        let gate = Arc::new(Semaphore::new(0));
        let stream = gate.clone();
        let handler = move |_: Request, nth: usize| {
            let body = match nth {
                1 => gated(stream.clone(), &["one", "two"], false),
                _ => pieces(&["another"]),
            };
            async move { reply(200, &[FRESH], body) }
        };
        let site = setup.site(|builder| builder.timeout(Duration::from_millis(800)), handler).await;
        let mut body = site.ask("GET", "/").open().await.unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
        assert_eq!(site.get("/").await.said(), (200, "another"), "{setup:?}: it waits for a while only");
        // The load has ended by now.
        tokio::time::sleep(Duration::from_millis(200)).await;
        gate.add_permits(2);
        assert_eq!(body.collect().await.unwrap().to_bytes(), "two", "{setup:?}");
    }
}

/// As behind a compression layer: a form for each coding, of unknown length where it is compressed.
fn compressed(request: &Request, nth: usize, is_gzip_long: bool) -> Response {
    let vary = ("vary", "accept-encoding");
    let is_long = |is_gzip| is_gzip == is_gzip_long;
    if field(request, "accept-encoding").contains("gzip") {
        let body = if is_long(true) { pieces(&["gzip gzip ", "gzip gzip"]) } else { pieces(&["gzip"]) };
        reply(200, &[FRESH, vary, ("content-encoding", "gzip"), ("nth", &nth.to_string())], body)
    } else {
        let body = if is_long(false) { "plain plain plain" } else { "plain" };
        reply(200, &[FRESH, vary, ("nth", &nth.to_string())], body)
    }
}

/// Killed by: a mark of one form for all of them.
#[tokio::test]
async fn a_form_that_is_not_stored_does_not_stop_others() {
    for setup in Setup::all() {
        for is_gzip_long in [true, false] {
            let limited = |builder: Builder| builder.body_limit(10);
            let handler = move |request: Request, nth: usize| ready(compressed(&request, nth, is_gzip_long));
            let site = setup.site(limited, handler).await;
            let ask = async |is_gzip: bool| {
                let ask = site.ask("GET", "/");
                if is_gzip { ask.header("accept-encoding", "gzip").send().await } else { ask.send().await }
            };
            let long = if is_gzip_long { "gzip gzip gzip gzip" } else { "plain plain plain" };
            assert_eq!(ask(is_gzip_long).await.body, long, "{setup:?}");
            let short = ask(!is_gzip_long).await;
            for _ in 0..500 {
                if ask(!is_gzip_long).await.is_hit() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let hit = ask(!is_gzip_long).await;
            assert!(hit.is_hit(), "{setup:?}: {}", hit.cache());
            assert_eq!(hit.body, short.body, "{setup:?}");
            assert_eq!(ask(is_gzip_long).await.body, long, "{setup:?}");
            setup.forget();
        }
    }
}

/// A visitor whose cookie counts: the answer is `public`, and stored for all.
///
/// Killed by: recording for those only who may be waited for.
#[tokio::test]
async fn a_streamed_body_is_stored_for_who_asks_beside_others() {
    let site = Site::new(crate::site::origin_headers, async |_: Request, _| {
        reply(200, &[("cache-control", "public, max-age=60")], pieces(&["01234", "56789"]))
    })
    .await;
    assert_eq!(site.ask("GET", "/").header("cookie", "sid=1").send().await.body, "0123456789");
    assert_eq!(site.get_until("/", |reply| reply.is_hit()).await.body, "0123456789");
}

/// Killed by: leaving out one of the reasons.
#[tokio::test]
async fn cache_status_says_why_nothing_is_stored() {
    type Case = (&'static str, u16, &'static [(&'static str, &'static str)]);
    let cases: [Case; 8] = [
        ("no-store", 200, &[("cache-control", "no-store")]),
        ("private", 200, &[("cache-control", "max-age=60, private")]),
        ("set-cookie", 200, &[FRESH, ("set-cookie", "a=b")]),
        ("vary", 200, &[FRESH, ("vary", "*")]),
        ("request-status", 429, &[FRESH]),
        ("status", 206, &[FRESH]),
        ("body-limit", 200, &[FRESH, ("long", "1")]),
        ("live", 200, &[FRESH, ("content-type", "text/event-stream")]),
    ];
    for setup in Setup::all() {
        let handler = move |request: Request, _| {
            let (detail, status, fields) = cases[request.uri().path()[1..].parse::<usize>().unwrap()];
            let body = match detail {
                "body-limit" => Body::from("0123456789ab"),
                "live" => pieces(&["a"]),
                _ => Body::from("a"),
            };
            async move { reply(status, fields, body) }
        };
        let site = setup.site(|builder| builder.body_limit(10), handler).await;
        for (nth, (detail, ..)) in cases.iter().enumerate() {
            // Alone, and on a marked key.
            for _ in 0..2 {
                let reply = site.get(&format!("/{nth}")).await;
                assert!(
                    reply.cache().ends_with(&format!("; detail={detail}")),
                    "{setup:?}: {detail}: {}",
                    reply.cache()
                );
            }
        }
    }
}

/// Killed by: telling all pages apart anew, by what a failure varies on.
#[tokio::test]
async fn a_form_that_fails_voids_no_others() {
    for setup in Setup::all() {
        let handler = async |request: Request, nth: usize| match field(&request, "accept-language").as_str() {
            "xx" => reply(500, &[("vary", "accept-language, origin")], "failed"),
            language => reply(200, &[FRESH, ("vary", "accept-language")], format!("{language} {nth}")),
        };
        let site = setup.site(|builder| builder, handler).await;
        let ask = async |language: &str| site.ask("GET", "/").header("accept-language", language).send().await;
        assert_eq!(ask("de").await.body, "de 1", "{setup:?}");
        assert_eq!(ask("xx").await.said(), (500, "failed"), "{setup:?}");
        assert_eq!(ask("de").await.body, "de 1", "{setup:?}");
    }
}
