//! Bodies: those that are stored, and those that go through.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::site::{Site, configured, field, reply};

/// Pieces of 64 KiB that are counted as they are made.
fn pieces(count: usize, made: Arc<AtomicUsize>) -> Body {
    let pieces = (0..count).map(move |_| {
        made.fetch_add(1, SeqCst);
        Ok::<_, Infallible>(Bytes::from(vec![b'x'; 64 << 10]))
    });
    Body::from_stream(stream::iter(pieces))
}

/// Killed by: storing it; reading it before it is sent on.
#[tokio::test]
async fn case_22_long_bodies_go_through() {
    let made = Arc::new(AtomicUsize::new(0));
    let making = made.clone();
    let site = Site::new(
        |builder| configured(builder).body_limit(1000),
        move |request: Request, nth: usize| {
            let making = making.clone();
            async move {
                match request.uri().path() {
                    "/unknown" => reply(200, &[], pieces(2000, making)),
                    "/long" => reply(200, &[], "y".repeat(1001)),
                    _ => reply(200, &[], format!("{nth:01000}")),
                }
            }
        },
    )
    .await;
    for _ in 0..2 {
        made.store(0, SeqCst);
        let mut body = site.ask("GET", "/unknown").open().await.unwrap().into_body();
        let first = body.frame().await.unwrap().unwrap();
        assert!(made.load(SeqCst) < 1000, "{} pieces before the first was read", made.load(SeqCst));
        let rest = body.collect().await.unwrap().to_bytes();
        assert_eq!(first.into_data().unwrap().len() + rest.len(), 2000 * (64 << 10));
        assert_eq!(site.get("/long").await.body.len(), 1001);
    }
    assert_eq!(site.calls.count(), 4);
    assert_eq!(site.get("/limit").await.body, site.get("/limit").await.body);
    assert_eq!(site.calls.count(), 5);
}

/// Killed by: taking the end of what came for the end of the body.
#[tokio::test]
async fn case_22_truncated_bodies_are_not_stored() {
    let waiting = Arc::new(Notify::new());
    let release = waiting.clone();
    let site = Site::new(configured, move |request: Request, nth: usize| {
        let waiting = waiting.clone();
        async move {
            if nth > 1 {
                return reply(200, &[], "0123456789");
            }
            waiting.notified().await;
            let error = request.uri().path() == "/error";
            let pieces = [Ok("01234"), Err(std::io::Error::other("the origin is gone"))];
            let pieces = pieces.into_iter().take(if error { 2 } else { 1 });
            reply(200, &[("content-length", "10")], Body::from_stream(stream::iter(pieces)))
        }
    })
    .await;
    let first = tokio::spawn(site.ask("GET", "/error").try_send());
    site.calls.reach(1).await;
    let waiters: Vec<_> = (0..5).map(|_| tokio::spawn(site.ask("GET", "/error").try_send())).collect();
    crate::site::until(|| site.cache.function_stats("http").joined >= 5).await;
    release.notify_one();
    assert!(first.await.unwrap().is_err(), "a short body");
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap().unwrap().said(), (200, "0123456789"));
    }
    assert_eq!(site.get("/error").await.body, "0123456789");
}

#[tokio::test]
async fn a_body_that_ends_early_is_not_stored() {
    let site = Site::new(configured, async |_: Request, nth: usize| match nth {
        1 => reply(200, &[("content-length", "10")], Body::from_stream(stream::iter([Ok::<_, Infallible>("01234")]))),
        _ => reply(
            200,
            &[("content-length", "10")],
            Body::from_stream(stream::iter([Ok::<_, Infallible>("0123456789")])),
        ),
    })
    .await;
    assert!(site.ask("GET", "/").try_send().await.is_err(), "a short body");
    assert_eq!(site.get("/").await.body, "0123456789");
    assert_eq!(site.get("/").await.body, "0123456789");
    assert_eq!(site.calls.count(), 2);
}

/// Killed by: reading a body that is not stored before the head is sent on.
#[tokio::test]
async fn case_23_an_event_stream_begins_at_once() {
    let (more, wait) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (sends, asked) = (more.clone(), wait.clone());
    let site = Site::new(configured, move |_: Request, _| {
        let (more, wait) = (more.clone(), wait.clone());
        async move {
            let events = stream::unfold(0, move |nth| {
                let (more, wait) = (more.clone(), wait.clone());
                async move {
                    if nth > 0 {
                        wait.notify_one();
                        more.notified().await;
                    }
                    Some((Ok::<_, Infallible>(format!("data: {nth}\n\n")), nth + 1))
                }
            });
            reply(
                200,
                &[("content-type", "text/event-stream"), ("cache-control", "no-store")],
                Body::from_stream(events),
            )
        }
    })
    .await;
    let mut events = site.ask("GET", "/events").open().await.unwrap().into_body();
    for nth in 0..3 {
        let event = events.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(event, format!("data: {nth}\n\n"));
        asked.notified().await;
        sends.notify_one();
    }
}

/// Killed by: a request that is rebuilt without its extensions.
#[tokio::test]
async fn case_23_upgrades_work() {
    let site = Site::new(configured, async |request: Request, _| {
        assert_eq!(field(&request, "upgrade"), "echo");
        tokio::spawn(async move {
            let upgraded = hyper::upgrade::on(request).await.unwrap();
            let mut stream = hyper_util::rt::TokioIo::new(upgraded);
            let mut said = [0; 5];
            stream.read_exact(&mut said).await.unwrap();
            stream.write_all(&said).await.unwrap();
        });
        reply(101, &[("connection", "upgrade"), ("upgrade", "echo")], "")
    })
    .await;
    let answer = site.ask("GET", "/").header("connection", "upgrade").header("upgrade", "echo").open().await.unwrap();
    assert_eq!(answer.status().as_u16(), 101);
    let mut stream = hyper_util::rt::TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
    stream.write_all(b"hello").await.unwrap();
    let mut said = [0; 5];
    stream.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"hello");
}

/// Trailers are nothing that is stored: who asked gets them.
#[tokio::test]
async fn a_body_with_trailers_goes_through() {
    struct WithTrailers(u8);
    impl http_body::Body for WithTrailers {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            self.0 += 1;
            Poll::Ready(match self.0 {
                1 => Some(Ok(http_body::Frame::data("body".into()))),
                2 => Some(Ok(http_body::Frame::trailers(
                    [("sum".parse().unwrap(), "7".parse().unwrap())].into_iter().collect(),
                ))),
                _ => None,
            })
        }
    }
    let site = Site::new(configured, async |_: Request, _| {
        reply(200, &[("trailer", "sum"), ("content-length", "4")], Body::new(WithTrailers(0)))
    })
    .await;
    assert_eq!(site.get("/").await.body, "body");
    assert_eq!(site.get("/").await.body, "body");
    assert_eq!(site.calls.count(), 2);
}
