//! The server's own time, of which there is one thread for all processes.

use hybridcache_test_support::RedisServer;

use super::RUNTIME;
use super::miss::next;
use super::shared::{Call, Load, all_of, start};
use crate::peers::Peer;
use crate::rounds::{Candidate, by_turns};
use crate::table::{Row, Table};

const ROUNDS: usize = 5;
const MISSES: u64 = 20_000;
const CALLERS: u64 = 32;

/// The bar is for these two. 100,000 misses of a peer that decodes or copies more would take minutes.
const COMPARED: [Peer; 2] = [Peer::ByHand, Peer::Hybridcache];

/// Nanoseconds of the server for a miss.
const LIMIT: f64 = 20e3;

pub(super) fn of_misses(table: &mut Table, server: &RedisServer) {
    let url = server.url();
    let calls: Vec<(Peer, Call)> =
        COMPARED.iter().map(|&peer| (peer, RUNTIME.block_on(start(peer, &url, Load::Missed)))).collect();
    let candidate = |(peer, call): &(Peer, Call)| {
        let call = call.clone();
        Candidate::new(*peer, move || {
            let before = busy(server);
            RUNTIME.block_on(all_of(&call, next(MISSES), CALLERS));
            (busy(server) - before) / MISSES as f64
        })
    };
    let samples = by_turns(ROUNDS, &mut calls.iter().map(candidate).collect::<Vec<_>>());
    table.add(Row::of_times(format!("the server's time of a miss, 1 KB, {CALLERS} at once"), &samples, LIMIT));
}

/// For how many nanoseconds the server has kept processors busy.
fn busy(server: &RedisServer) -> f64 {
    let info = server.info("cpu");
    let of = |name: &str| {
        let seconds = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        seconds.unwrap().trim().parse::<f64>().unwrap() * 1e9
    };
    of("used_cpu_user") + of("used_cpu_sys")
}
