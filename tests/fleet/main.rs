//! The cache over Redis, in one process and in many: what is promised of it, counted on real servers.
//!
//! Every test starts servers of its own. The other processes of a fleet are this binary, run for the test [`worker`]
//! alone (`process.rs` starts them, `worker.rs` answers their requests). Loads ask a second server, the database, which counts
//! them where they happen and can hold them, so no test waits for time to pass in the hope that something has
//! happened. "Killed by" names a change to the engine that the test was seen to catch.

#![allow(clippy::unwrap_used, reason = "a test panics to fail")]

use hybridcache_test_support::{database, waiting};

mod bad_bytes;
mod breaker;
mod clocks;
mod closing;
mod coalescing;
#[cfg(feature = "json")]
mod codecs;
mod commands;
mod crossing;
mod degraded;
mod drops;
mod endings;
mod envelope;
mod errors;
mod evicting;
mod expiring;
mod faults;
mod fleet;
mod freshness;
mod gaps;
mod given_up;
mod groups;
mod invalidation;
mod invariants;
mod journal;
mod large;
mod late_puts;
mod leaks;
mod lifetimes;
mod limits;
mod names;
mod observing;
mod outage;
mod overlapping_puts;
#[cfg(all(feature = "lz4", feature = "zstd"))]
mod packing;
mod process;
mod recovery;
mod refusals;
mod said;
#[cfg(all(feature = "encryption", feature = "lz4", feature = "zstd"))]
mod sealing;
mod shop;
mod slow;
mod stale;
mod stamps;
mod strict;
mod takeover;
mod undriven;
mod unstored;
mod values;
mod versions;
mod worker;
mod wrong_types;

/// Does nothing unless a test starts it as another process of its fleet.
#[test]
fn worker() {
    worker::run();
}
