//! Redis over TLS.

use std::sync::{Arc, Mutex};

use hybridcache::HybridCache;
use hybridcache_test_support::{Authority, RedisServer};
use tracing::field::{Field, Visit};

use crate::fleet::{Fleet, item};
use crate::waiting::within;

fn url(port: u16, authority: &Authority) -> String {
    format!("rediss://localhost:{port}/?ca={}", authority.ca().display())
}

/// Killed by: leaving the private authority out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_certificate_a_private_authority_signed() {
    let authority = Authority::new();
    let (server, port) = authority.start("no");
    Fleet::at(url(port, &authority)).all_works(&[&server], 0).await;
    // By address: the certificate names it too.
    let by_address = url(port, &authority).replace("localhost", "127.0.0.1");
    Fleet::at(by_address).all_works(&[&server], 1000).await;
}

/// Killed by: leaving the client's certificate out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_asks_for_a_clients_certificate() {
    let authority = Authority::new();
    let (server, port) = authority.start("yes");
    let (cert, key) = authority.client();
    let fleet = Fleet::at(format!("{}&cert={}&key={}", url(port, &authority), cert.display(), key.display()));
    fleet.all_works(&[&server], 0).await;
    calls_are_served_without(&fleet, &url(port, &authority), 5000, &[]).await;
}

/// The calls are served, and Redis gets nothing.
///
/// Killed by: not checking certificates; an error from `build`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_be_trusted_gets_nothing() {
    let (authority, another) = (Authority::new(), Authority::new());
    let (server, port) = authority.start("no");
    let fleet = Fleet::at("unused");
    for (first, url) in [(0, url(port, &another)), (100, format!("rediss://localhost:{port}"))] {
        calls_are_served_without(&fleet, &url, first, &["UnknownIssuer", "certificate"]).await;
    }
    // Its certificate is for another name.
    let misnamed = url(port, &authority).replace("localhost", "127.0.0.2");
    let (bound_there, port_there) = bound_to_another_address(&authority);
    let misnamed = misnamed.replace(&format!(":{port}/"), &format!(":{port_there}/"));
    calls_are_served_without(&fleet, &misnamed, 200, &["NotValidForName", "not valid for name"]).await;
    for server in [server, bound_there] {
        assert_eq!(server.keys("*"), [""; 0]);
    }
}

fn bound_to_another_address(authority: &Authority) -> (RedisServer, u16) {
    let (server, port) = authority.start("no");
    server.config_set("bind", "127.0.0.1 127.0.0.2");
    (server, port)
}

/// The log says one of `words` where there are any.
async fn calls_are_served_without(fleet: &Fleet, url: &str, first: u64, words: &[&str]) {
    let log = Log::default();
    let dispatch = tracing::Dispatch::new(log.clone());
    // On the thread of its own that `with_default` needs.
    let logged = {
        let url = url.to_owned();
        std::thread::spawn(move || tracing::dispatcher::with_default(&dispatch, || attempt(&url)))
    };
    tokio::task::spawn_blocking(move || logged.join().unwrap()).await.unwrap();
    let text = log.text.lock().unwrap().clone();
    assert!(words.is_empty() || words.iter().any(|word| text.contains(word)), "{text}");
    let shop = fleet.shop_at(url).await;
    for id in first..first + 5 {
        assert_eq!(within("a call", shop.item(id)).await.unwrap(), item(id, 1, 0));
    }
    let error = shop.item_entry(first).invalidate().await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
}

fn attempt(url: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { HybridCache::builder().redis(url).build().await.unwrap() });
}

/// What was logged.
#[derive(Clone, Default)]
struct Log {
    text: Arc<Mutex<String>>,
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("hybridcache")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Fields<'a>(&'a mut String);
        impl Visit for Fields<'_> {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!("{field}={value:?} "));
            }
        }
        event.record(&mut Fields(&mut self.text.lock().unwrap()));
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
