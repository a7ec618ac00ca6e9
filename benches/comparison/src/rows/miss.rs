//! Complete misses: neither memory nor Redis has the value, and the load returns at once.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hybridcache_test_support::RedisServer;

use super::RUNTIME;
use super::shared::{Call, Load, PEERS, all_of, start, store};
use super::traffic::{self, Traffic};
use crate::peers::Peer;
use crate::rounds::{Candidate, by_turns, nanoseconds_each};
use crate::table::{Row, Table};

const ROUNDS: usize = 21;

/// A limit of the bar.
const UNEXPECTED: f64 = 1.9;

/// So many hits come before a miss that nobody expects.
const HITS: u64 = 9;
const MISSES: u64 = 40;
const STORED: Range<u64> = 0..HITS * MISSES;

const UNIT: &str = "`GET`, load, `SET`";

/// How many callers at once, how many misses in a round, of a function that is missed each time, and a limit of the bar.
const CONCURRENCY: [(u64, u64, f64); 2] = [(1, 200, 1.5), (64, 2_560, 2.2)];

/// Nothing has these ids but misses, and each once.
static NEXT: AtomicU64 = AtomicU64::new(1 << 32);

pub(super) fn measure(table: &mut Table, server: &RedisServer) {
    unexpected(table, server);
    expected(table, server);
    super::server::of_misses(table, server);
    table.note("Misses: round trips are batches of commands that the server has read, in the median of 40 misses. By hand is `GET`, the load, `SET` with `PX`, without any coordination.");
}

fn unexpected(table: &mut Table, server: &RedisServer) {
    let url = &server.url();
    PEERS.iter().for_each(|&peer| RUNTIME.block_on(store(peer, url, Load::Quick, STORED)));
    let candidate = |&peer| Candidate::new(peer, move || on_a_worker(misses_among_hits(peer, url.to_owned())));
    let samples = by_turns(ROUNDS, &mut PEERS.iter().map(candidate).collect::<Vec<_>>());
    let traffic = RUNTIME.block_on(async {
        let call = start(Peer::Hybridcache, url, Load::Quick).await;
        let mut hits = STORED;
        let hit = async || {
            for id in hits.by_ref().take(HITS as usize) {
                call(id).await;
            }
        };
        traffic::of_misses(server, MISSES, hit, async || call(next(1).start).await).await
    });
    let what = format!("complete miss, 1 KB, after {HITS} hits in Redis");
    let row = Row::of_ratios(what, &samples, Peer::ByHand, UNIT).at_most(&samples, UNEXPECTED, Peer::ByHand, "by hand");
    add(table, row, &traffic, 3);
}

fn expected(table: &mut Table, server: &RedisServer) {
    let url = server.url();
    let calls: Vec<_> = PEERS.iter().map(|&peer| (peer, RUNTIME.block_on(start(peer, &url, Load::Missed)))).collect();
    for (callers, misses, limit) in CONCURRENCY {
        let candidate = |(peer, call): &(Peer, Call)| {
            let call = call.clone();
            Candidate::new(*peer, move || {
                let took = RUNTIME.block_on(all_of(&call, next(misses), callers));
                nanoseconds_each(took, misses as usize)
            })
        };
        let samples = by_turns(ROUNDS, &mut calls.iter().map(candidate).collect::<Vec<_>>());
        let what = format!("complete miss after misses, 1 KB, {callers} at once");
        let row = Row::of_ratios(what, &samples, Peer::ByHand, UNIT).at_most(&samples, limit, Peer::ByHand, "by hand");
        if callers > 1 {
            table.add(row);
            continue;
        }
        let (_, call) = calls.iter().find(|(peer, _)| *peer == Peer::Hybridcache).unwrap();
        let traffic =
            RUNTIME.block_on(traffic::of_misses(server, MISSES, async || (), async || call(next(1).start).await));
        add(table, row, &traffic, 2);
    }
}

/// As a server's task. What polls `block_on` is no worker: each answer would have to wake another thread.
fn on_a_worker(figure: impl Future<Output = f64> + Send + 'static) -> f64 {
    RUNTIME.block_on(async { tokio::spawn(figure).await.unwrap() })
}

/// In a process that has just been started. The hits are not timed.
async fn misses_among_hits(peer: Peer, url: String) -> f64 {
    let call = start(peer, &url, Load::Quick).await;
    let mut hits = STORED;
    let mut took = Duration::ZERO;
    for miss in next(MISSES) {
        for id in hits.by_ref().take(HITS as usize) {
            call(id).await;
        }
        let begun = Instant::now();
        call(miss).await;
        took += begun.elapsed();
    }
    nanoseconds_each(took, MISSES as usize)
}

pub(super) fn next(ids: u64) -> Range<u64> {
    let first = NEXT.fetch_add(ids, Ordering::Relaxed);
    first..first + ids
}

fn add(table: &mut Table, row: Row, traffic: &Traffic, limit: u64) {
    let trips = traffic.round_trips;
    table.add(row.bar(format!("≤ {limit} round trips"), trips, trips <= limit));
    table.note(format!(
        "Commands of a miss of **hybridcache** that takes at most {limit} round trips, those in scripts included: {}.",
        traffic.commands
    ));
}
