//! Hits in Redis: 1 KB values that another process has stored, and that are not in this one's memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::Ordering;

use hybridcache_test_support::RedisServer;

use super::RUNTIME;
use super::shared::{Load, PEERS, PEERS_THAT_READ, all_of, start, store};
use crate::peers::Peer;
use crate::rounds::{Candidate, by_turns, nanoseconds_each};
use crate::table::{Row, Table};
use crate::values::LOADS;

const ROUNDS: usize = 21;

/// How many callers at once, how many calls in a round, and a limit beside `GET` by hand, which fills no memory.
const CONCURRENCY: [(u64, u64, f64); 3] = [(1, 400, 1.2), (64, 6_400, 1.6), (256, 12_800, 1.6)];

/// Beside what a user would write who wants both tiers.
const LIMIT_BESIDE_MOKA: f64 = 1.15;

/// These are called before those that are timed: connections are opened, and what is kept of the function is read.
const WARM_UP: Range<u64> = 0..256;
const STORED: Range<u64> = 0..WARM_UP.end + 12_800;

pub(super) fn measure(table: &mut Table, server: &RedisServer) {
    let url = &server.url();
    PEERS.iter().for_each(|&peer| RUNTIME.block_on(store(peer, url, Load::Quick, STORED)));
    for (callers, calls, limit) in CONCURRENCY {
        let disturbed = RefCell::new(BTreeMap::<String, usize>::new());
        let candidate = |&peer: &Peer| {
            let disturbed = &disturbed;
            let again = move || *disturbed.borrow_mut().entry(peer.to_string()).or_default() += 1;
            Candidate::new(peer, move || undisturbed(peer, url, callers, calls, again))
        };
        let samples = by_turns(ROUNDS, &mut PEERS_THAT_READ.iter().map(candidate).collect::<Vec<_>>());
        let what = format!("hit in Redis, 1 KB, {callers} at once");
        let row = Row::of_ratios(what, &samples, Peer::ByHand, "`GET` and decoding");
        let row = row.at_most(&samples, limit, Peer::ByHand, "by hand");
        table.add(row.at_most(&samples, LIMIT_BESIDE_MOKA, Peer::ByHandWithMoka, "by hand with `moka`"));
        for (peer, rounds) in disturbed.into_inner() {
            table.note(format!("Redis, {callers} at once: {rounds} of the rounds of {peer} were measured again, since in them it took Redis for too slow, and loaded."));
        }
    }
    table.note("Redis: each in the format that it uses itself, MessagePack where there is a choice (`hitbox`: bincode). By hand is one `MultiplexedConnection` and `rmp_serde`; with `moka` it is the same behind a `moka::future::Cache`, which each call asks first and then fills. `moka` and `quick_cache` have no Redis. `cached` and `hitbox` keep nothing in memory there; `amalgam-cache` has neither backplane nor distributed lock, so its processes do not hear of each other's changes, nor `multi-tier-cache`'s.");
}

/// A round in which all came from Redis. On a busy machine Redis may be slower than a caller is to wait.
fn undisturbed(peer: Peer, url: &str, callers: u64, calls: u64, again: impl Fn()) -> f64 {
    const ATTEMPTS: usize = 20;
    for _ in 0..ATTEMPTS {
        let loads = LOADS.load(Ordering::Relaxed);
        let each = RUNTIME.block_on(hits(peer, url, callers, calls));
        if LOADS.load(Ordering::Relaxed) == loads {
            return each;
        }
        again();
    }
    panic!("{peer} loads what it was to find in Redis");
}

/// One call, by a cache with nothing in memory.
async fn hits(peer: Peer, url: &str, callers: u64, calls: u64) -> f64 {
    let call = start(peer, url, Load::Quick).await;
    all_of(&call, WARM_UP, callers).await;
    let took = all_of(&call, WARM_UP.end..WARM_UP.end + calls, callers).await;
    nanoseconds_each(took, calls as usize)
}
