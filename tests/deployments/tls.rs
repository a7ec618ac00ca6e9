//! Redis over TLS.

use hybridcache_test_support::{Authority, RedisServer};

use crate::fleet::{Fleet, item};
use crate::log::log_of_connecting;
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
/// Killed by: leaving the private authority out.
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
    let text = log_of_connecting(url).await;
    assert!(words.is_empty() || words.iter().any(|word| text.contains(word)), "{text}");
    let shop = fleet.shop_at(url).await;
    for id in first..first + 5 {
        assert_eq!(within("a call", shop.item(id)).await.unwrap(), item(id, 1, 0));
    }
    let error = shop.item_entry(first).invalidate().await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
}
