//! The streams of calls.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::functions::{by_hand, cold, hot, stale};
use crate::log::{Answer, Log};
use crate::world::World;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// In memory and fresh.
    Hot,
    /// In memory and most of the time stale.
    Stale,
    /// Never seen before.
    Cold,
    MemoryOnlyHot,
    MemoryOnlyCold,
    /// How late a sleep of 5 ms ends.
    Sleep,
    ManagerHot,
    ManagerCold,
    MultiplexedHot,
    MultiplexedCold,
}

/// Hot keys are called in turn.
const HOT_KEYS: u64 = 100;
const STALE_KEYS: u64 = 20;

impl Stream {
    pub(crate) const ALL: [Self; 10] = [
        Self::Hot,
        Self::Stale,
        Self::Cold,
        Self::MemoryOnlyHot,
        Self::MemoryOnlyCold,
        Self::Sleep,
        Self::ManagerHot,
        Self::ManagerCold,
        Self::MultiplexedHot,
        Self::MultiplexedCold,
    ];

    /// Time from one call to the next.
    fn pause(self) -> Duration {
        Duration::from_millis(match self {
            Self::Hot | Self::MemoryOnlyHot | Self::Stale => 2,
            Self::Cold | Self::MemoryOnlyCold | Self::Sleep | Self::ManagerHot | Self::MultiplexedHot => 10,
            Self::ManagerCold | Self::MultiplexedCold => 20,
        })
    }

    /// Makes one call. Returns how long it took, and how long its own load.
    async fn call(self, world: &World, number: u64) -> (Duration, Duration) {
        let id = number % HOT_KEYS;
        match self {
            Self::Hot => (timed(hot(&world.cache, id)).await.0, Duration::ZERO),
            Self::Stale => (timed(stale(&world.cache, number % STALE_KEYS)).await.0, Duration::ZERO),
            Self::MemoryOnlyHot => (timed(hot(&world.memory_only, id)).await.0, Duration::ZERO),
            Self::Cold => loaded(timed(cold(&world.cache, number)).await, |item| Some(item.took)),
            Self::MemoryOnlyCold => loaded(timed(cold(&world.memory_only, number)).await, |item| Some(item.took)),
            Self::Sleep => loaded(timed(sleep(SLEEP)).await, |()| Some(SLEEP)),
            Self::ManagerHot => loaded(timed(by_hand(world.manager.clone(), "manager-hot", id)).await, |load| load),
            Self::ManagerCold => {
                loaded(timed(by_hand(world.manager.clone(), "manager-cold", number)).await, |load| load)
            }
            Self::MultiplexedHot => {
                loaded(timed(by_hand(world.multiplexed.clone(), "multiplexed-hot", id)).await, |load| load)
            }
            Self::MultiplexedCold => {
                loaded(timed(by_hand(world.multiplexed.clone(), "multiplexed-cold", number)).await, |load| load)
            }
        }
    }

    /// Not through this crate.
    pub(crate) fn is_by_hand(self) -> bool {
        matches!(self, Self::ManagerHot | Self::ManagerCold | Self::MultiplexedHot | Self::MultiplexedCold)
    }

    /// The pattern of the keys under which Redis has what the cold calls stored. The number stands before `after`.
    pub(crate) fn stored(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Cold => Some(("*:cold@0:*:e", ":e")),
            Self::ManagerCold => Some(("manager-cold:*", "")),
            Self::MultiplexedCold => Some(("multiplexed-cold:*", "")),
            _ => None,
        }
    }
}

const SLEEP: Duration = Duration::from_millis(5);

async fn timed<T>(call: impl Future<Output = T>) -> (Duration, T) {
    let began = Instant::now();
    let answer = call.await;
    (began.elapsed(), answer)
}

fn loaded<T>((took, answer): (Duration, T), load: impl FnOnce(T) -> Option<Duration>) -> (Duration, Duration) {
    (took, load(answer).unwrap_or_default())
}

/// Puts the hot keys where a hot key is.
pub(crate) async fn warm_up(world: &World) {
    for stream in [Stream::Hot, Stream::Stale, Stream::MemoryOnlyHot, Stream::ManagerHot, Stream::MultiplexedHot] {
        for id in 0..HOT_KEYS {
            stream.call(world, id).await;
        }
    }
}

/// Calls at a steady pace until it is aborted, whatever becomes of the calls.
pub(crate) async fn run(stream: Stream, world: Arc<World>, log: Arc<Log>) {
    let mut pace = interval(stream.pause());
    // A late tick is no reason for two calls at once.
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0.. {
        pace.tick().await;
        let (world, log) = (world.clone(), log.clone());
        tokio::spawn(async move {
            let ticket = log.begin(stream, number, world.breaker_is_open());
            let (took, load) = stream.call(&world, number).await;
            log.end(&ticket, Answer { took, added: took.saturating_sub(load) });
        });
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hot => "**hybridcache**, hot",
            Self::Stale => "**hybridcache**, hot, stale",
            Self::Cold => "**hybridcache**, cold",
            Self::MemoryOnlyHot => "control: no Redis, hot",
            Self::MemoryOnlyCold => "control: no Redis, cold",
            Self::Sleep => "control: a sleep's lateness",
            Self::ManagerHot => "`ConnectionManager`, hot",
            Self::ManagerCold => "`ConnectionManager`, cold",
            Self::MultiplexedHot => "`MultiplexedConnection`, hot",
            Self::MultiplexedCold => "`MultiplexedConnection`, cold",
        })
    }
}
