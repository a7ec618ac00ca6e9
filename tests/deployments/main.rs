//! The deployments of Redis that a URL can name: TLS, users, sockets, Sentinel, Cluster. Each against the real thing, started by
//! the test.
//!
//! Everything here drives the public API. The shop and its worker are those of `tests/fleet`.
//! "Killed by" names a change to the engine that the test was seen to catch.

#![allow(clippy::unwrap_used, reason = "a test panics to fail")]

use hybridcache_test_support::{database, waiting};

mod cluster;
mod fleet;
mod log;
mod sentinel;
mod socket;
mod tls;
mod users;

#[allow(dead_code, reason = "tests/fleet uses more of it")]
#[path = "../fleet/process.rs"]
mod process;
#[allow(dead_code, reason = "tests/fleet uses more of it")]
#[path = "../fleet/shop.rs"]
mod shop;
#[path = "../fleet/worker.rs"]
mod worker;

/// Does nothing unless a test starts it as another process of its fleet.
#[test]
fn worker() {
    worker::run();
}
