//! One round: healthy, the fault, and after it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use hybridcache::Stats;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{Instant, sleep};

use crate::calls::{self, Stream};
use crate::fault::Fault;
use crate::log::{Call, Log};
use crate::world::World;

const HEALTHY: Duration = Duration::from_secs(3);
const AWAY: Duration = Duration::from_secs(10);
const AFTER: Duration = Duration::from_secs(10);

/// How long calls that were not answered by then are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a round gave. Times are the round's.
pub(crate) struct Round {
    pub(crate) calls: Vec<Call>,
    pub(crate) away_from: Duration,
    pub(crate) back_from: Duration,
    pub(crate) end: Duration,
    /// The numbers of the calls whose value Redis had just before the fault, or has at the end.
    pub(crate) stored: Vec<(Stream, HashSet<u64>)>,
    /// Hot keys were loaded so often, though nobody invalidated them.
    pub(crate) hot_loads: u64,
    /// The whole cache's, at the end.
    pub(crate) stats: Stats,
}

pub(crate) async fn run(fault: Fault) -> Round {
    let world = Arc::new(World::start(fault).await);
    calls::warm_up(&world).await;
    let hot_loads = world.cache.function_stats("hot").loads;
    let log = Arc::new(Log::start());
    let mut streams = JoinSet::new();
    for stream in Stream::ALL {
        streams.spawn(calls::run(stream, world.clone(), log.clone()));
    }
    sleep(HEALTHY).await;
    let away_from = log.now();
    // The fault may lose it.
    let mut stored = stored_now(&world);
    block_in_place(|| fault.begin(&world));
    sleep(AWAY).await;
    block_in_place(|| fault.end(&world));
    let back_from = log.now();
    sleep(AFTER).await;
    let end = log.now();
    streams.shutdown().await;
    wait_for_answers(&log).await;
    for ((_, before), (_, after)) in stored.iter_mut().zip(stored_now(&world)) {
        before.extend(after);
    }
    Round {
        away_from,
        back_from,
        end: end.max(back_from),
        stored,
        hot_loads: world.cache.function_stats("hot").loads - hot_loads,
        stats: world.cache.stats(),
        calls: log.snapshot(),
    }
}

async fn wait_for_answers(log: &Log) {
    let deadline = Instant::now() + PATIENCE;
    while log.unanswered() > 0 && Instant::now() < deadline {
        sleep(Duration::from_millis(10)).await;
    }
}

/// The truth, from the server itself.
fn stored_now(world: &World) -> Vec<(Stream, HashSet<u64>)> {
    let numbers = |stream: Stream| {
        let (pattern, after) = stream.stored()?;
        let number = |key: &String| key.strip_suffix(after)?.rsplit(':').next()?.parse().ok();
        Some((stream, world.server.keys(pattern).iter().filter_map(number).collect()))
    };
    Stream::ALL.into_iter().filter_map(numbers).collect()
}
