//! Ranges and conditions.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use futures_util::stream;
use hybridcache::http::Builder;
use tokio::sync::Semaphore;

use crate::client::Reply;
use crate::setups::Setup;
use crate::site::{Site, configured, field, origin_headers, reply, until};

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

const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const LATER: &str = "Mon, 07 Nov 1994 08:49:37 GMT";

/// A page that is not stored, for the reason that its path names. This handler evaluates no conditions.
fn not_stored(request: &Request) -> axum::response::Response {
    let (control, kind) = match request.uri().path() {
        "/private" => ("private, max-age=60", "text/plain"),
        "/no-store" => ("no-store", "text/plain"),
        "/no-cache" => ("no-cache", "text/plain"),
        "/live" => ("max-age=60", "text/event-stream"),
        _ => ("max-age=60", "text/plain"),
    };
    let body = match request.uri().path() {
        "/long" => Body::from("0123456789".repeat(10)),
        "/long-stream" => {
            let pieces = std::iter::repeat_n(Ok::<_, std::convert::Infallible>(PAGE), 10);
            Body::from_stream(stream::iter(pieces))
        }
        "/live" => Body::from_stream(stream::iter([Ok::<_, std::convert::Infallible>(PAGE)])),
        _ => Body::from(PAGE),
    };
    let fields = [
        ("cache-control", control),
        ("content-type", kind),
        ("etag", "\"x\""),
        ("last-modified", MODIFIED),
        ("set-cookie", "kept=1"),
    ];
    let fields = if control.starts_with("max-age") { &fields[..4] } else { &fields };
    reply(200, fields, body)
}

const NOT_STORED: [&str; 6] = ["/private", "/no-store", "/no-cache", "/live", "/long", "/long-stream"];

fn short(builder: Builder) -> Builder {
    builder.body_limit(50)
}

/// Killed by: the handler's whole answer for a condition that was taken out of its request; evaluating it for a failure.
#[tokio::test]
async fn what_is_not_stored_is_revalidated() {
    for setup in Setup::all() {
        let site = setup.site(short, async |request: Request, _| not_stored(&request)).await;
        for path in NOT_STORED {
            // On a key that nobody has asked for, and on one that is marked.
            for _ in 0..2 {
                for (name, value) in [
                    ("if-none-match", "\"x\""),
                    ("if-none-match", "\"y\", W/\"x\""),
                    ("if-none-match", "*"),
                    ("if-modified-since", MODIFIED),
                    ("if-modified-since", LATER),
                ] {
                    let unmodified = site.ask("GET", path).header(name, value).send().await;
                    assert_eq!(unmodified.said(), (304, ""), "{setup:?}: {path} {name}: {value}");
                    assert_eq!(unmodified.header("etag"), Some("\"x\""), "{setup:?}: {path}");
                    assert_eq!(unmodified.header("content-type"), None, "{setup:?}: {path}");
                }
                for (name, value) in
                    [("if-none-match", "\"y\""), ("if-modified-since", "Sat, 05 Nov 1994 08:49:37 GMT")]
                {
                    let whole = site.ask("GET", path).header(name, value).send().await;
                    assert_eq!(whole.status.as_u16(), 200, "{setup:?}: {path} {name}: {value}");
                    assert!(whole.body.starts_with(PAGE), "{setup:?}: {path}");
                }
            }
        }
    }
}

/// Killed by: a key that is marked, and conditions that are taken out all the same.
#[tokio::test]
async fn a_marked_key_leaves_conditions_to_its_handler() {
    for setup in Setup::all() {
        let site = setup
            .site(
                |builder| builder,
                async |request: Request, _| {
                    let headers = [("cache-control", "private"), ("etag", "\"x\"")];
                    match field(&request, "if-none-match").as_str() {
                        "\"x\"" => reply(304, &[&headers[..], &[("handler", "304")]].concat(), ""),
                        _ => reply(200, &headers, PAGE),
                    }
                },
            )
            .await;
        assert_eq!(site.get("/").await.said(), (200, PAGE));
        let unmodified = site.ask("GET", "/").header("if-none-match", "\"x\"").send().await;
        assert_eq!((unmodified.said(), unmodified.header("handler")), ((304, ""), Some("304")), "{setup:?}");
    }
}

/// Killed by: taking them out of the request, or out of what is asked of the store.
#[tokio::test]
async fn preconditions_for_the_origin_reach_it() {
    for setup in Setup::all() {
        let site = setup
            .site(
                |builder| builder,
                async |request: Request, _| match field(&request, "if-match").as_str() {
                    "" | "\"x\"" => reply(200, &[("cache-control", "max-age=60"), ("etag", "\"x\"")], PAGE),
                    _ => reply(412, &[], "changed"),
                },
            )
            .await;
        let ask = async |tag: &str| site.ask("GET", "/").header("if-match", tag).send().await;
        assert_eq!(ask("\"y\"").await.said(), (412, "changed"), "{setup:?}");
        assert_eq!(ask("\"x\"").await.said(), (200, PAGE), "{setup:?}");
        assert_eq!(site.get("/").await.said(), (200, PAGE));
        assert!(site.get("/").await.is_hit(), "{setup:?}: neither has marked it");
    }
}

/// Killed by: a range that is passed on; a range of a page that turns out not to be stored, answered with all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_and_heads_of_a_cold_key_share_one_load() {
    for setup in Setup::all() {
        let gate = Arc::new(Semaphore::new(0));
        let waiting = gate.clone();
        let handler = move |request: Request, _| {
            let waiting = waiting.clone();
            async move {
                waiting.acquire().await.unwrap().forget();
                file(&request, &[("cache-control", "max-age=60"), ("etag", "\"x\"")])
            }
        };
        let site = setup.site(|builder| builder, handler).await;
        let part = || site.ask("GET", "/").header("range", "bytes=2-4");
        let first = tokio::spawn(part().send());
        site.calls.reach(1).await;
        let more = [part(), site.ask("HEAD", "/"), site.ask("GET", "/"), part()].map(|ask| tokio::spawn(ask.send()));
        until(|| site.cache.function_stats("http").joined >= 4).await;
        gate.add_permits(9);
        let mut said = Vec::new();
        for asked in [first].into_iter().chain(more) {
            let reply = asked.await.unwrap();
            said.push((reply.status.as_u16(), reply.body));
        }
        let expected = [(206, "234"), (206, "234"), (200, ""), (200, PAGE), (206, "234")];
        assert_eq!(said, expected.map(|(status, body)| (status, body.to_owned())), "{setup:?}");
        assert!(site.get("/").await.is_hit(), "{setup:?}");
        assert_eq!(site.calls.count(), 1, "{setup:?}");
    }
}

/// Killed by: sending all of it; a range that is cut out of a range.
#[tokio::test]
async fn ranges_of_what_is_not_stored() {
    for setup in Setup::all() {
        let site = setup.site(short, async |request: Request, _| not_stored(&request)).await;
        for path in ["/private", "/no-store", "/long"] {
            let part = site.ask("GET", path).header("range", "bytes=2-4").send().await;
            assert_eq!(part.said(), (206, "234"), "{setup:?}: {path}");
            assert_eq!(part.header("content-length"), Some("3"), "{setup:?}: {path}");
            let length = if path == "/long" { 100 } else { 10 };
            assert_eq!(part.header("content-range"), Some(&*format!("bytes 2-4/{length}")), "{setup:?}: {path}");
        }
    }
}

/// Killed by: reading a long file up to the place where a range begins.
#[tokio::test]
async fn a_range_far_behind_goes_to_the_handler() {
    for setup in Setup::all() {
        let site = setup.site(short, async |request: Request, _| field(&request, "range")).await;
        for range in ["bytes=51-60", "bytes=-10", "bytes=0-1,4-5"] {
            assert_eq!(site.ask("GET", "/").header("range", range).send().await.body, range, "{setup:?}");
        }
        assert_eq!(site.ask("GET", "/").header("range", "bytes=50-60").send().await.body, "", "{setup:?}");
    }
}

/// Killed by: fields of the whole that go out with a part of it.
#[tokio::test]
async fn digests_of_the_whole_are_not_sent_with_a_part() {
    const DIGESTS: [(&str, &str); 4] = [
        ("content-digest", "sha-256=:AA==:"),
        ("repr-digest", "sha-256=:AA==:"),
        ("content-md5", "AA=="),
        ("digest", "md5=AA=="),
    ];
    for setup in Setup::all() {
        for limit in [50, 5] {
            let site = setup
                .site(
                    |builder| builder.body_limit(limit),
                    async |_: Request, _| {
                        reply(200, &[&DIGESTS[..], &[("cache-control", "max-age=60")]].concat(), PAGE)
                    },
                )
                .await;
            for (range, status) in [("bytes=2-4", 206), ("bytes=0-", 206), ("bytes=99-", 416)] {
                let part = site.ask("GET", "/").header("range", range).send().await;
                // A range that begins behind the limit goes to the handler, and this one has no ranges.
                let is_cut = limit == 50 || (status == 206 && !part.body.starts_with(PAGE));
                for (name, _) in DIGESTS.iter().filter(|_| is_cut) {
                    assert_eq!((part.status.as_u16(), part.header(name)), (status, None), "{setup:?}: {range} {name}");
                }
            }
            assert_eq!(site.get("/").await.header("repr-digest"), Some("sha-256=:AA==:"), "{setup:?}");
            setup.forget();
        }
    }
}

/// Killed by: giving the requester the handler's framing beside the layer's.
#[tokio::test]
async fn the_layer_frames_what_it_has_read() {
    for setup in Setup::all() {
        let site = setup
            .site(
                |builder| builder,
                async |_: Request, _| {
                    let fields = [("transfer-encoding", "chunked"), ("trailer", "x"), ("cache-control", "max-age=60")];
                    reply(200, &fields, PAGE)
                },
            )
            .await;
        for _ in 0..2 {
            let page = site.get("/").await;
            assert_eq!((page.said(), page.header("content-length")), ((200, PAGE), Some("10")), "{setup:?}");
            assert_eq!((page.header("transfer-encoding"), page.header("trailer")), (None, None), "{setup:?}");
        }
        assert_eq!(
            site.ask("GET", "/cold").header("range", "bytes=2-4").send().await.said(),
            (206, "234"),
            "{setup:?}"
        );
        assert_eq!(site.ask("HEAD", "/head").send().await.said(), (200, ""), "{setup:?}");
    }
}
