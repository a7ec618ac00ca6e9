//! Eight processes, a real Redis, and everything that can go wrong between them, at random: what they saw is held against
//! the promises (`checker/mod.rs`).
//!
//! `cargo test --test chaos` runs a minute. For longer:
//!
//! ```sh
//! HYBRIDCACHE_CHAOS_SECONDS=7200 cargo test --release --test chaos -- chaos   # two hours: rounds of a minute
//! HYBRIDCACHE_CHAOS_SEED=42 cargo test --test chaos -- chaos                  # the faults of that seed again
//! ```
//!
//! A seed repeats the plan of faults (`plan.rs`) and what each process wants to do; how they get in each other's way differs
//! from run to run; on a busy machine fewer loads and calls can be counted against the bounds of a calm. Values carry the
//! version that the database had when their load began. Each process writes what it does into a log of its own, before and
//! after; the logs are read when the round is over. Logs of a round that broke a promise are left behind.

#![allow(clippy::unwrap_used, reason = "a test panics to fail")]

mod checker;
mod database;
mod faults;
mod history;
mod log;
mod plan;
mod process;
mod round;
mod shop;
mod summary;
mod worker;

use std::env;
use std::io::{Write, stderr};

use crate::history::SECOND;
use crate::round::Round;
use crate::summary::Summary;

const SECONDS: &str = "HYBRIDCACHE_CHAOS_SECONDS";
const SEED: &str = "HYBRIDCACHE_CHAOS_SEED";

/// A round is short enough for its history to be kept in memory.
const ROUND: u64 = 60;

/// Does nothing unless the test below starts it as another process of its fleet.
#[test]
fn worker() {
    worker::run();
}

/// Seen to be killed, most within half a minute, all within two rounds, by:
///
/// - in memory: invalidating without detaching the flight; ignoring a message, of a key or of a group; no new epoch on a new
///   connection; trusting an unverified entry whatever Redis has; serving past `expires_at`; 30 s without proof under
///   `Outage::Strict`;
/// - in Redis: `invalidate.lua` leaving the lease; `publish.lua` ignoring the token, or waking nobody;
///   `acquire.lua` granting always, not looking at the fence, or without a lifetime (a leak); a lease that is not released;
///   a waiter that is not woken;
/// - after outages: a journal that is not replayed, or not what was acknowledged; an invalidation that failed and leaves the
///   breaker closed; a breaker that never opens, or never closes.
///
/// Not seen to be killed: a leader that is dropped without waking anybody (that takes a runtime that ends), a fenced flight
/// that ends as others do, leases that are not renewed, stamps that are kept over a gap: their own tests do.
#[test]
fn chaos() {
    let seconds: u64 = number(SECONDS).unwrap_or(ROUND);
    let seed = number(SEED).unwrap_or_else(|| fastrand::u64(..) % 1_000_000);
    let rounds = seconds.div_ceil(ROUND).max(1);
    for round in 0..rounds {
        let (seed, length) = (seed + round, (seconds - round * ROUND).min(ROUND));
        say(&format!("chaos: round {} of {rounds}, {length} s, {SEED}={seed}", round + 1));
        let outcome = Round::new(seed).run(length * SECOND);
        let findings = checker::check(&outcome.history);
        say(&Summary::of(&outcome.history, &findings).to_string());
        let first = findings.violations.iter().take(5).map(|violation| checker::tell(&outcome.history, violation));
        let first: Vec<String> = first.chain(outcome.leaks.iter().cloned()).collect();
        if !first.is_empty() {
            let kept = outcome.directory.keep();
            say(&format!("logs are in {}", kept.display()));
            panic!("{} promises broken, {SEED}={seed}; the first:\n{}", findings.violations.len(), first.join("\n"));
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// Past libtest, which shows what a test prints only when it fails.
fn say(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}
