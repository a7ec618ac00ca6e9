//! How long another process goes on serving what was invalidated.
//!
//! ```sh
//! cargo bench --bench coherence             # 3,000 invalidations with a healthy Redis, 10 of each kind with messages lost
//! cargo bench --bench coherence -- 500 2
//! ```
//!
//! The other process is this program, started again: it calls one key in a loop, each call a hit in its memory, until a
//! call is no longer answered with the old value, and tells when the last one was that still was. Both processes read the same machine's
//! clock. With messages lost, the other process has `Outage::Strict` and reaches Redis through a proxy from which nothing
//! comes back any more, while its connections stay up; once that holds for all its connections, once for the one with the
//! messages alone. Ends with an error where an old value was served for longer than three seconds.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on panics")]

mod reader;
mod rounds;

use std::process::ExitCode;
use std::time::Duration;

use hybridcache_test_support::worker::is_worker;

use rounds::{Deaf, Latency};

const HEALTHY_ROUNDS: u64 = 3_000;
const LOST_ROUNDS: u64 = 10;

/// How long an old value may be served under `Outage::Strict`.
const BOUND: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    if is_worker() {
        reader::run();
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut numbers = std::env::args().skip(1).filter_map(|word| word.parse().ok());
    let (healthy, lost) = (numbers.next().unwrap_or(HEALTHY_ROUNDS), numbers.next().unwrap_or(LOST_ROUNDS));
    let mut is_met = true;
    println!("From `invalidate()` to unseen in another process, p50 / p99 / max.\n");
    println!(
        "| | rounds | since it was called | since it returned | unseen before it returned | |\n|---|---|---|---|---|---|"
    );
    runtime.block_on(async {
        row("healthy", &rounds::healthy(healthy).await, None);
        for deaf in [Deaf::AllConnections, Deaf::MessagesOnly] {
            is_met &= row(&format!("`Outage::Strict`, {deaf}"), &rounds::lost(deaf, lost).await, Some(BOUND));
        }
    });
    if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn row(name: &str, latencies: &[Latency], bound: Option<Duration>) -> bool {
    let since_called = sorted(latencies.iter().map(|latency| latency.since_called));
    let since_returned = sorted(latencies.iter().map(|latency| latency.since_returned.unwrap_or_default()));
    let before = latencies.iter().filter(|latency| latency.since_returned.is_none()).count();
    // What was acknowledged counts.
    let is_met = bound.is_none_or(|bound| since_returned.last().is_some_and(|longest| *longest <= bound));
    let verdict = match bound {
        None => "",
        Some(_) if is_met => "at most 3 s: PASS",
        Some(_) => "at most 3 s: **FAIL**",
    };
    let (rounds, called, returned) = (latencies.len(), figures(&since_called), figures(&since_returned));
    println!("| {name} | {rounds} | {called} | {returned} | {before} | {verdict} |");
    is_met
}

fn sorted(latencies: impl Iterator<Item = Duration>) -> Vec<Duration> {
    let mut latencies: Vec<_> = latencies.collect();
    latencies.sort();
    latencies
}

fn figures(sorted: &[Duration]) -> String {
    // The nearest rank.
    let rank = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100) - 1];
    format!("{:.2?} / {:.2?} / {:.2?}", rank(50), rank(99), rank(100))
}
