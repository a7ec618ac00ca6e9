//! Hits in memory: ten thousand hot entries, on one thread and on two; a million entries.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;

use super::RUNTIME;
use crate::ids;
use crate::peers::{ENTRIES, MANY_ENTRIES, Peer, amalgam, cached, hitbox, moka, multi_tier, ours, quick};
use crate::rounds::{Candidate, Samples, by_turns, nanoseconds_each};
use crate::table::{Row, Table};
use crate::values::{LOADS, shared_user};

const ROUNDS: usize = 31;

const HOT: u64 = 10_000;
const MILLION: u64 = 1_000_000;

/// How long the timed calls of one round take at least, unless there are not so many ids.
const ROUND: Duration = Duration::from_millis(20);

/// Calls for these ids, waits until all who share the barrier are there, and calls for the others: when these calls began, and
/// when they ended.
type Run = dyn Fn(&[u64], &[u64], &Barrier) -> (Instant, Instant) + Sync;

/// Makes one call after the other in a future that one thread polls.
pub(super) struct Caller {
    peer: Peer,
    run: Box<Run>,
    calls: usize,
}

pub(super) fn hot(table: &mut Table) {
    let mut callers = of_maps(ENTRIES, HOT);
    callers.push(Caller::new(Peer::Hybridcache, async |id| _ = black_box(ours::user(id).await)));
    callers.push(Caller::new(Peer::Cached, async |id| _ = black_box(cached::user(id).await)));
    let ids = ids::zipf(HOT as usize, 0.99);
    fill(&mut callers, HOT);
    let (one, two) = measure(&callers, &ids, &[1, 2]);
    let unit = "`moka::sync` get";
    table.add(
        Row::of_ratios("hit in memory, 10,000 hot entries, 1 thread", &one, Peer::Moka, unit)
            .at_most(&one, 0.28, Peer::Moka, "moka")
            .at_most(&one, 0.75, Peer::Cached, "`cached`"),
    );
    let more = one.ratio_to(Peer::Hybridcache, &two, Peer::Hybridcache).median * 2.0;
    table.add(
        Row::of_ratios("the same, 2 threads", &two, Peer::Moka, unit)
            .at_most(&two, 0.2, Peer::Moka, "moka")
            .at_most(&two, 0.5, Peer::Cached, "`cached`")
            .bar("two threads do more than one", format!("{more:.2} times as much"), more > 1.0),
    );
    table.note("Hits: the time of one call on its own thread. `moka` and `quick_cache` are maps: what an attribute would add, and for `quick_cache` a lifetime, is not counted. `hitbox` and `multi-tier-cache` keep encoded values, which each hit decodes; the others return an `Arc`.");
}

pub(super) fn million(table: &mut Table) {
    let mut callers = of_maps(MANY_ENTRIES, MILLION);
    callers.push(Caller::new(Peer::Hybridcache, async |id| _ = black_box(ours::one_of_many(id).await)));
    callers.push(Caller::new(Peer::Cached, async |id| _ = black_box(cached::one_of_many(id).await)));
    fill(&mut callers, MILLION);
    let (one, _) = measure(&callers, &ids::uniform(MILLION as usize), &[1]);
    table.add(
        Row::of_ratios("hit at 1 million entries, uniform, 1 thread", &one, Peer::Moka, "`moka::sync` get")
            .at_most(&one, 0.38, Peer::Moka, "moka")
            .at_most(&one, 1.0, Peer::Cached, "`cached`"),
    );
}

/// Those whose cache is an object, of any size.
fn of_maps(capacity: usize, entries: u64) -> Vec<Caller> {
    let (sync, future) = (moka::sync_cache(capacity), moka::future_cache(capacity));
    let quick = quick::cache(capacity);
    for id in 0..entries {
        sync.insert(id, shared_user(id));
        RUNTIME.block_on(future.insert(id, shared_user(id)));
        quick.insert(id, shared_user(id));
    }
    let hitbox = hitbox::in_memory(capacity);
    let amalgam = amalgam::in_memory(capacity);
    let multi_tier = multi_tier::in_memory(capacity);
    vec![
        Caller::new(Peer::Moka, async move |id| _ = black_box(sync.get(&id).unwrap())),
        Caller::new(Peer::MokaFuture, async move |id| _ = black_box(future.get(&id).await.unwrap())),
        Caller::new(Peer::QuickCache, async move |id| _ = black_box(quick.get(&id).unwrap())),
        Caller::new(Peer::Hitbox, async move |id| _ = black_box(hitbox::user(id).cache(&hitbox).await)),
        Caller::new(Peer::Amalgam, async move |id| _ = black_box(amalgam::user(&amalgam, id).await)),
        Caller::new(Peer::MultiTier, async move |id| _ = black_box(multi_tier::user(&multi_tier, id).await)),
    ]
}

/// All entries are loaded; then it is seen how many calls make a round.
pub(super) fn fill(callers: &mut [Caller], entries: u64) {
    let all: Vec<u64> = (0..entries).collect();
    let sample = ids::uniform(entries as usize);
    for caller in callers {
        caller.time(&all, &[], 1);
        let calls = 4_096;
        let each = caller.time(&sample[..calls], &sample[..calls], 1);
        caller.calls = (ROUND.as_nanos() as f64 / each) as usize;
    }
}

/// The second is for a second number of threads, measured in the same rounds.
fn measure(callers: &[Caller], ids: &[u64], threads: &[usize]) -> (Samples, Samples) {
    let mut candidates: Vec<_> = threads
        .iter()
        .flat_map(|&threads| {
            callers
                .iter()
                .map(move |caller| Candidate::new(caller.peer, move || caller.hits(caller.some_of(ids), threads)))
        })
        .collect();
    by_turns(ROUNDS, &mut candidates).split_at(callers.len())
}

impl Caller {
    pub(super) fn new(peer: Peer, call: impl AsyncFn(u64) + Sync + 'static) -> Self {
        let run = move |before: &[u64], timed: &[u64], barrier: &Barrier| {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for &id in before {
                    call(id).await;
                }
                barrier.wait();
                let begun = Instant::now();
                for &id in timed {
                    call(id).await;
                }
                (begun, Instant::now())
            })
        };
        Self { peer, run: Box::new(run), calls: 0 }
    }

    /// As many as make a round.
    pub(super) fn some_of<'a>(&self, ids: &'a [u64]) -> &'a [u64] {
        &ids[..self.calls.clamp(1_024, ids.len())]
    }

    /// The processor's caches hold another candidate's entries: a quarter as many calls before bring its own back.
    pub(super) fn hits(&self, ids: &[u64], threads: usize) -> f64 {
        let loads = LOADS.load(Ordering::Relaxed);
        let each = self.time(&ids[..ids.len() / 4], ids, threads);
        assert_eq!(LOADS.load(Ordering::Relaxed), loads, "{} loads what it was to have in memory", self.peer);
        each
    }

    /// Nanoseconds of one call on its thread. Each thread begins elsewhere in the list.
    fn time(&self, before: &[u64], timed: &[u64], threads: usize) -> f64 {
        let barrier = Barrier::new(threads);
        let run = |thread: usize| {
            let (first, rest) = timed.split_at(timed.len() / threads * thread);
            (self.run)(before, &[rest, first].concat(), &barrier)
        };
        let run = &run;
        let begun_and_ended: Vec<_> = thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let begun = begun_and_ended.iter().map(|(begun, _)| *begun).min();
        let ended = begun_and_ended.iter().map(|(_, ended)| *ended).max();
        nanoseconds_each(ended.unwrap() - begun.unwrap(), timed.len())
    }
}
