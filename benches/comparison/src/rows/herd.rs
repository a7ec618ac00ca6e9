//! Many callers at once, of keys that nobody has: a thousand keys with four callers each, and one key with a thousand.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hybridcache_test_support::RedisServer;

use super::RUNTIME;
use super::shared::{Call, Load, SHARING_LOADS, call, start};
use crate::peers::{ENTRIES, Peer, amalgam, cached, hitbox, moka, multi_tier, ours, quick};
use crate::rounds::{Candidate, by_turns, nanoseconds_each};
use crate::table::{Row, Table};
use crate::values::{LOADS, LONGEST_LOAD, slow_item, slow_user};

const ROUNDS: usize = 21;

const KEYS: u64 = 1_000;
const CALLERS_OF_A_KEY: u64 = 4;

const CALLERS_OF_ONE: u64 = 1_000;

static NEXT: AtomicU64 = AtomicU64::new(1 << 33);

pub(super) fn measure(table: &mut Table, server: &RedisServer) {
    let url = server.url();
    let memory = in_memory();
    let shared: Vec<_> =
        SHARING_LOADS.iter().map(|&peer| (peer, RUNTIME.block_on(start(peer, &url, Load::Slow)))).collect();
    many_keys(table, "memory only", &memory, call((), |(), id| async move { _ = slow_user(id).await }), 1.6);
    many_keys(table, "with Redis", &shared, call((), |(), id| async move { _ = slow_item(id).await }), 4.5);
    one_key(table, "memory only", &memory, 1e6);
    one_key(table, "with Redis", &shared, 1.2e6);
    table.note("Many callers: each is a task of its own on two workers. `cached` is its `#[cached]` with `sync_writes = \"by_key\"`; its `#[concurrent_cached]`, with Redis or without, has no shared loads, and neither has `moka::sync` for async loads.");
}

fn in_memory() -> Vec<(Peer, Call)> {
    vec![
        (Peer::Hybridcache, call((), |(), id| async move { _ = ours::loaded_slowly(id).await })),
        (Peer::Cached, call((), |(), id| async move { _ = cached::loaded_slowly(id).await })),
        (
            Peer::MokaFuture,
            call(moka::future_cache(ENTRIES), |cache, id| async move { _ = moka::loaded_slowly(&cache, id).await }),
        ),
        (
            Peer::QuickCache,
            call(
                Arc::new(quick::cache(ENTRIES)),
                |cache, id| async move { _ = quick::loaded_slowly(&cache, id).await },
            ),
        ),
        (
            Peer::Hitbox,
            call(hitbox::with_one_load(ENTRIES), |cache, id| async move {
                _ = hitbox::loaded_slowly(id).cache(&cache).await;
            }),
        ),
        (
            Peer::Amalgam,
            call(amalgam::in_memory(ENTRIES), |cache, id| async move { _ = amalgam::loaded_slowly(&cache, id).await }),
        ),
        (
            Peer::MultiTier,
            call(Arc::new(multi_tier::in_memory(ENTRIES)), |cache, id| async move {
                _ = multi_tier::loaded_slowly(&cache, id).await;
            }),
        ),
    ]
}

/// The ideal, in the last column: the loads alone, each once.
fn many_keys(table: &mut Table, tiers: &str, calls: &[(Peer, Call)], load: Call, limit: f64) {
    let mut loads = HashMap::new();
    let ideal = Candidate::new(Peer::ByHand, move || RUNTIME.block_on(answered(&load, 1)).as_nanos() as f64);
    let counts: Vec<_> = calls.iter().map(|_| AtomicU64::new(0)).collect();
    let herds = calls.iter().zip(&counts).map(|((peer, call), count)| {
        Candidate::new(*peer, move || {
            let before = LOADS.load(Ordering::Relaxed);
            let took = RUNTIME.block_on(answered(call, CALLERS_OF_A_KEY));
            count.fetch_max(LOADS.load(Ordering::Relaxed) - before, Ordering::Relaxed);
            took.as_nanos() as f64
        })
    });
    let samples = by_turns(ROUNDS, &mut std::iter::once(ideal).chain(herds).collect::<Vec<_>>());
    for ((peer, _), count) in calls.iter().zip(counts) {
        loads.insert(peer.to_string(), count.into_inner());
    }
    let what = format!("{KEYS} keys × {CALLERS_OF_A_KEY} callers, loads of 5 ms, {tiers}");
    let row = Row::of_ratios(what, &samples, Peer::ByHand, "the loads alone");
    let mut row = row.at_most(&samples, limit, Peer::ByHand, "ideal");
    let loads_once = |peer: &Peer| loads.get(&peer.to_string()).is_some_and(|loads| *loads <= KEYS);
    for peer in samples.peers().filter(|peer| *peer != Peer::Hybridcache && loads_once(peer)) {
        row = row.at_most(&samples, 1.0, peer, &peer.to_string());
    }
    table.add(row);
    for (peer, loads) in loads.into_iter().filter(|(_, loads)| *loads > KEYS) {
        table.note(format!("{peer} made up to {loads} loads for {KEYS} keys, {tiers}."));
    }
}

async fn answered(call: &Call, callers: u64) -> Duration {
    let first = NEXT.fetch_add(KEYS, Ordering::Relaxed);
    let mut ids: Vec<u64> = (0..callers).flat_map(|_| first..first + KEYS).collect();
    fastrand::shuffle(&mut ids);
    let begun = Instant::now();
    let tasks: Vec<_> = ids.into_iter().map(|id| tokio::spawn(call(id))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    begun.elapsed()
}

fn one_key(table: &mut Table, tiers: &str, calls: &[(Peer, Call)], limit: f64) {
    let candidate = |(peer, call): &(Peer, Call)| {
        let call = call.clone();
        Candidate::new(*peer, move || RUNTIME.block_on(slowest(&call)))
    };
    let samples = by_turns(ROUNDS, &mut calls.iter().map(candidate).collect::<Vec<_>>());
    let what = format!("{CALLERS_OF_ONE} callers of one cold key: the slowest, less its load's time, {tiers}");
    table.add(Row::of_times(what, &samples, limit));
}

/// Nanoseconds beyond the load's own time. Only loads of this call run meanwhile.
async fn slowest(call: &Call) -> f64 {
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    LONGEST_LOAD.store(0, Ordering::Relaxed);
    let callers: Vec<_> = (0..CALLERS_OF_ONE)
        .map(|_| {
            let call = call.clone();
            tokio::spawn(async move {
                let begun = Instant::now();
                call(id).await;
                begun.elapsed()
            })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    for caller in callers {
        slowest = slowest.max(caller.await.unwrap());
    }
    let load = Duration::from_nanos(LONGEST_LOAD.load(Ordering::Relaxed));
    nanoseconds_each(slowest.saturating_sub(load), 1)
}
