//! Candidates with a Redis, each started as another process would start it: with nothing in memory.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::peers::{ENTRIES, Peer, amalgam, by_hand, cached, hitbox, multi_tier, ours};
use crate::values::LOADS;

/// The box costs all the same.
pub(super) type Call = Arc<dyn Fn(u64) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// Returns at once.
    Quick,
    /// The same, of a function that is hardly ever hit.
    Missed,
    Slow,
}

pub(super) const PEERS: [Peer; 6] =
    [Peer::ByHand, Peer::Hybridcache, Peer::Cached, Peer::Hitbox, Peer::Amalgam, Peer::MultiTier];

/// The same, and what a user would write who wants both tiers.
pub(super) const PEERS_THAT_READ: [Peer; 7] =
    [Peer::ByHand, Peer::Hybridcache, Peer::Cached, Peer::Hitbox, Peer::Amalgam, Peer::MultiTier, Peer::ByHandWithMoka];

/// Those that have one load for all callers of a process.
pub(super) const SHARING_LOADS: [Peer; 4] = [Peer::Hybridcache, Peer::Hitbox, Peer::Amalgam, Peer::MultiTier];

pub(super) async fn start(peer: Peer, url: &str, load: Load) -> Call {
    match peer {
        Peer::Hybridcache => {
            let cache = ours::shared(url).await;
            call(cache, move |cache, id| async move {
                match load {
                    Load::Quick => ours::item(&cache, id).await,
                    Load::Missed => ours::missed_item(&cache, id).await,
                    Load::Slow => ours::item_loaded_slowly(&cache, id).await,
                };
            })
        }
        Peer::Cached => {
            cached::use_redis(url);
            call((), |(), id| async move { _ = cached::item(id).await.unwrap() })
        }
        Peer::Hitbox if load == Load::Slow => call(hitbox::shared_with_one_load(url), |cache, id| async move {
            hitbox::item_loaded_slowly(id).cache(&cache).await;
        }),
        Peer::Hitbox => call(hitbox::shared(url), |cache, id| async move { _ = hitbox::item(id).cache(&cache).await }),
        Peer::Amalgam => call(amalgam::shared(url).await, move |cache, id| async move {
            match load {
                Load::Quick | Load::Missed => amalgam::item(&cache, id).await,
                Load::Slow => amalgam::item_loaded_slowly(&cache, id).await,
            };
        }),
        Peer::MultiTier => call(Arc::new(multi_tier::shared(url).await), move |cache, id| async move {
            match load {
                Load::Quick | Load::Missed => multi_tier::item(&cache, id).await,
                Load::Slow => multi_tier::item_loaded_slowly(&cache, id).await,
            };
        }),
        Peer::ByHand => {
            let connection = by_hand::connect(url).await;
            call(connection, |connection, id| async move { _ = by_hand::get_or_load(connection, id).await })
        }
        Peer::ByHandWithMoka => {
            let tiers = (by_hand::memory(ENTRIES), by_hand::connect(url).await);
            call(tiers, |tiers, id| async move { _ = by_hand::get_or_load_through(tiers, id).await })
        }
        Peer::Moka | Peer::MokaFuture | Peer::QuickCache => unreachable!("it has no Redis"),
    }
}

pub(super) fn call<C, F>(cache: C, call: impl Fn(C, u64) -> F + Send + Sync + 'static) -> Call
where
    C: Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    Arc::new(move |id| Box::pin(call(cache.clone(), id)))
}

/// Calls once for each id, in so many tasks of which each makes one call after the other. Until all are answered.
pub(super) async fn all_of(call: &Call, ids: Range<u64>, tasks: u64) -> Duration {
    let begun = Instant::now();
    let tasks: Vec<_> = (0..tasks)
        .map(|task| {
            let (call, ids) = (call.clone(), ids.clone());
            tokio::spawn(async move {
                for id in ids.skip(task as usize).step_by(tasks as usize) {
                    call(id).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    begun.elapsed()
}

/// Stores all of these in Redis, and sees that another process finds them there.
pub(super) async fn store(peer: Peer, url: &str, load: Load, ids: Range<u64>) {
    const TASKS: u64 = 64;
    for _ in 0..10 {
        all_of(&start(peer, url, load).await, ids.clone(), TASKS).await;
        let loads = LOADS.load(Ordering::Relaxed);
        all_of(&start(peer, url, load).await, ids.clone(), TASKS).await;
        if LOADS.load(Ordering::Relaxed) == loads {
            return;
        }
    }
    panic!("{peer} does not find in Redis what it has stored");
}
