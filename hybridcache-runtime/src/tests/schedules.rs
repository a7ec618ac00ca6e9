//! What threads share, run in thousands of orders (`shuttle`: at random, and by the PCT algorithm of Burckhardt et al., "A
//! Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", 2010). It is the code itself that runs, on the
//! locks and atomics of `sync.rs`. How to run it: CONTRIBUTING.md.

#![allow(clippy::unwrap_used, reason = "a test panics to fail")]

mod breaker;
mod flights;
mod memory;
mod refreshes;
mod stamps;
mod waits;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use shuttle::future::block_on;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::{Config, Runner};

use crate::cache::state::Local;
use crate::cache::{HybridCache, Limits};
use crate::coherence::outage::Outage;
use crate::coherence::stamps::{Stamp, StampSnapshot};
use crate::entry::{Deadlines, Entry, FilledUnder, Meta, State};
use crate::flight::outcome::Outcome;
use crate::flight::{Claim, Joined, Leader};
use crate::function::call_key::Key;
use crate::function::{Instance, Site};
use crate::key::KeyBuf;
use crate::memory::{Memory, MemoryTier};
use crate::shared::StampName;
use crate::shared::wire::packing::Packing;

/// Runs a test in this many orders of either kind; `HYBRIDCACHE_SCHEDULES` says another number.
const ORDERS: usize = 1_000;

/// At how many points PCT takes the processor away.
const DEPTH: usize = 3;

/// Bytes of a thread's stack. An atomic of shuttle's takes a hundred, and there are many in what is built on it.
const STACK: usize = 1 << 18;

fn explore(test: fn()) {
    let orders = std::env::var("HYBRIDCACHE_SCHEDULES").ok().and_then(|orders| orders.parse().ok()).unwrap_or(ORDERS);
    let test = move || {
        // An order that failed must be the same when it is run again.
        fastrand::seed(0);
        test();
    };
    let mut config = Config::new();
    config.stack_size = STACK;
    Runner::new(RandomScheduler::new(orders), config.clone()).run(test);
    Runner::new(PctScheduler::new(DEPTH, orders), config).run(test);
}

/// One process with one key, and a database of which loads read the version.
struct World {
    local: Arc<Local>,
    key: Arc<Key>,
    stamp: Arc<Stamp>,
    database: AtomicU64,
    loads: AtomicU64,
}

/// A moment in which everything is fresh.
const NOW: u64 = 0;

impl World {
    fn new() -> Arc<Self> {
        static SITE: Site = Site::named("schedules", 0);
        let local = Arc::new(Local::new("test", MemoryTier::new(Memory::entries(8), true), Outage::Serve));
        let limits =
            Limits { redis_budget: Duration::ZERO, lease_limit: Duration::ZERO, value_limit: 0, degraded_loads: 1 };
        let cache = HybridCache::assemble("test", local.clone(), None, 0, limits, Packing::default());
        let instance = Instance { site: &SITE, receiver: None, generics: &[] };
        let key = cache.key(&cache.lookup(&instance, &KeyBuf::new()));
        let stamp = local.stamps.named(stamp_name());
        Arc::new(Self { local, key, stamp, database: AtomicU64::new(0), loads: AtomicU64::new(0) })
    }

    fn capture_stamps(&self) -> StampSnapshot {
        StampSnapshot::capture([&self.stamp].into_iter())
    }

    fn entry(&self, version: u64, seen: &StampSnapshot, epoch: u64) -> Arc<Entry> {
        let times = Deadlines { fresh_until: u64::MAX, expires_at: u64::MAX };
        let meta = Meta::new(&self.key, times, FilledUnder { seen, epoch, began: NOW }, None);
        Arc::new(Entry { meta, value: version })
    }

    /// What a call finds in memory.
    fn hit(&self) -> Option<u64> {
        let entry = self.local.memory.find(&self.key)?;
        let is_fresh = entry.meta.state(NOW, self.local.trust.now()) == State::Fresh;
        is_fresh.then(|| version(&entry))
    }

    /// One call: as `call/mod.rs` and `engine/join.rs` have it.
    fn call(&self) -> u64 {
        if let Some(version) = self.hit() {
            return version;
        }
        loop {
            match self.local.flights.claim_unless(&self.key, || self.hit(), || self.capture_stamps()) {
                ControlFlow::Break(version) => return version,
                ControlFlow::Continue(Claim::Lead(leader)) => {
                    let seen = leader.stamps().clone();
                    return self.load(leader, &seen);
                }
                ControlFlow::Continue(Claim::Join(joiner)) => match block_on(joiner) {
                    Joined::Outcome(Outcome::Value(entry)) => return version(&entry),
                    Joined::Outcome(_) => panic!("no load fails"),
                    Joined::Retry => {}
                },
            }
        }
    }

    /// As `engine/run.rs` has it, without a shared tier.
    fn load(&self, leader: Leader, seen: &StampSnapshot) -> u64 {
        let epoch = self.local.trust.epoch();
        leader.begin_load(None);
        self.loads.fetch_add(1, Ordering::SeqCst);
        let loaded = self.database.load(Ordering::SeqCst);
        let entry = self.entry(loaded, seen, epoch);
        if seen.is_current() {
            leader.store(|| {
                // Where memory is no place to lose the processor, this is.
                self.database.load(Ordering::SeqCst);
                self.local.memory.insert(entry.clone());
            });
        }
        leader.finish(|_| Outcome::Value(entry));
        loaded
    }

    fn write(&self, version: u64) {
        self.database.store(version, Ordering::SeqCst);
    }
}

fn stamp_name() -> StampName {
    StampName { key: "tag".into(), hash: 9, version: None }
}

fn version(entry: &Entry) -> u64 {
    *entry.value.downcast_ref().unwrap()
}
