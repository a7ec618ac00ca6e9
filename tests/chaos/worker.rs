//! What one process of the fleet does: it calls, changes and writes down, until it is told to stop.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::time::Duration;

use fastrand::Rng;
use hybridcache::{BreakerState, HybridCache, Memory, Outage};
use hybridcache_test_support::worker::{run_worker, serve_requests};
use tokio::task::{JoinSet, spawn};
use tokio::time::{sleep, timeout};

use crate::database::Database;
use crate::history::{Answer, Change, Counts, Function, How, Key, MILLISECOND, Micros, Origin, SHELVES, Told, now};
use crate::log::Log;
use crate::log::Record;
use crate::shop::{Failure, Item, Shop};

/// A worker's settings.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    pub(crate) number: usize,
    pub(crate) redis: String,
    pub(crate) database: u16,
    pub(crate) log: String,
    pub(crate) seed: u64,
    pub(crate) entries: u64,
    pub(crate) is_strict: bool,
    /// Whether it makes changes.
    pub(crate) changes: bool,
}

/// The parent's requests.
pub(crate) const STORM: &str = "storm";
pub(crate) const CALM: &str = "calm";

const NAMESPACE: &str = "chaos";
const CALLERS: u64 = 4;

/// How often the process looks whether it was running, and how much later than that counts.
const PULSE: Duration = Duration::from_millis(50);
const STALL: Micros = 200 * MILLISECOND;

/// Returns at once where nobody started this process as a worker.
pub(crate) fn run() {
    run_worker(async |settings| {
        let orders = Orders::from_settings(settings);
        let builder = HybridCache::builder().namespace(NAMESPACE).redis(orders.redis.clone());
        let builder = builder.outage(if orders.is_strict { Outage::Strict } else { Outage::Serve });
        let cache = builder.memory(Memory::entries(orders.entries)).build().await.unwrap();
        let (database, log) = (Database::connect(orders.database).await, Log::create(Path::new(&orders.log)));
        let shop = Shop { number: orders.number, cache, database, log, calls: Arc::default() };
        let worker = Worker { shop, pace: Arc::new(AtomicU8::new(Pace::Calm as u8)) };
        worker.work(orders.seed, orders.changes).await;
    });
}

impl Orders {
    pub(crate) fn to_settings(&self) -> [String; 8] {
        let Self { number, redis, database, log, seed, entries, is_strict, changes } = self;
        let (number, database, seed) = (number.to_string(), database.to_string(), seed.to_string());
        let (entries, is_strict, changes) = (entries.to_string(), is_strict.to_string(), changes.to_string());
        [number, redis.clone(), database, log.clone(), seed, entries, is_strict, changes]
    }

    fn from_settings([number, redis, database, log, seed, entries, is_strict, changes]: [String; 8]) -> Self {
        Self {
            number: number.parse().unwrap(),
            redis,
            database: database.parse().unwrap(),
            log,
            seed: seed.parse().unwrap(),
            entries: entries.parse().unwrap(),
            is_strict: is_strict.parse().unwrap(),
            changes: changes.parse().unwrap(),
        }
    }
}

/// How many changes there are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Calm,
    Storm,
    Over,
}

#[derive(Clone)]
struct Worker {
    shop: Shop,
    pace: Arc<AtomicU8>,
}

impl Worker {
    async fn work(self, seed: u64, changes: bool) {
        let mut rng = Rng::with_seed(seed);
        let mut tasks = JoinSet::new();
        for _ in 0..CALLERS {
            tasks.spawn(self.clone().call_on(rng.fork()));
        }
        if changes {
            tasks.spawn(self.clone().change_on(rng.fork()));
        }
        let pulse = spawn(pulse(self.shop.clone()));
        serve_requests(|request| {
            self.set(if request == STORM { Pace::Storm } else { Pace::Calm });
            std::future::ready(request)
        })
        .await;
        self.set(Pace::Over);
        tasks.join_all().await;
        pulse.abort();
        let calls_and_outcomes = Some((self.shop.calls.load(SeqCst), self.outcomes().await));
        self.shop.log.write(&Record::Counts(Counts { calls_and_outcomes, ..counts(&self.shop.cache) }));
        self.shop.log.write(&Record::End { at: now() });
    }

    /// All outcomes of calls. The flight of a call that went away may name its outcome a little later.
    async fn outcomes(&self) -> u64 {
        let outcomes = || {
            let stats = self.shop.cache.stats();
            stats.hits_memory + stats.hits_redis + stats.misses + stats.joined + stats.bypassed
        };
        for _ in 0..100 {
            if outcomes() == self.shop.calls.load(SeqCst) {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
        outcomes()
    }

    fn set(&self, pace: Pace) {
        self.pace.store(pace as u8, SeqCst);
    }

    fn is(&self, pace: Pace) -> bool {
        self.pace.load(SeqCst) == pace as u8
    }

    async fn call_on(self, mut rng: Rng) {
        while !self.is(Pace::Over) {
            let key = any_key(&mut rng);
            match rng.u32(..100) {
                0..4 => self.herd(key, rng.usize(2..12)).await,
                4..7 => self.give_up(key, rng.u64(..20)).await,
                _ => call(self.shop.clone(), key, any_how(&mut rng)).await,
            }
            sleep(Duration::from_millis(rng.u64(1..20))).await;
        }
    }

    /// Many callers at once.
    async fn herd(&self, key: Key, size: usize) {
        let calls: JoinSet<()> = (0..size).map(|_| call(self.shop.clone(), key, How::Plainly)).collect();
        calls.join_all().await;
    }

    /// A caller that goes away.
    async fn give_up(&self, key: Key, after: u64) {
        let (shop, log) = (self.shop.clone(), &self.shop.log);
        let number = log.call(key, How::Plainly);
        let call = spawn(async move { shop.call(key, How::Plainly).await });
        sleep(Duration::from_millis(after)).await;
        call.abort();
        log.answered(number, Answer::Cancelled);
    }

    async fn change_on(self, mut rng: Rng) {
        while !self.is(Pace::Over) {
            // In small steps, to hear that the pace has changed.
            let odds = if self.is(Pace::Storm) { 10 } else { 250 };
            if rng.u32(..odds) == 0 {
                change(&self.shop, any_change(&mut rng), &mut rng).await;
            }
            sleep(Duration::from_millis(30)).await;
        }
    }
}

/// The least of three: some keys are hot, some are called so seldom that they grow old.
fn any_key(rng: &mut Rng) -> Key {
    let function = Function::ALL[rng.usize(..Function::ALL.len())];
    let id = (0..3).map(|_| rng.u64(..function.keys())).min().unwrap_or_default();
    Key { function, id }
}

/// Few reload: no load of their key can be counted for a while.
fn any_how(rng: &mut Rng) -> How {
    match rng.u32(..1000) {
        0..2 => How::Reload,
        2..20 => How::Bypass,
        20..50 => How::Peek,
        _ => How::Plainly,
    }
}

fn any_change(rng: &mut Rng) -> Change {
    let key = any_key(rng);
    match rng.u32(..100) {
        0..50 => Change::Invalidate(key),
        50..63 => Change::Put(key),
        63..72 => Change::Expire(key),
        72..92 => Change::Shelf(rng.u64(..SHELVES)),
        92..98 => Change::Function(key.function),
        _ => Change::Clear,
    }
}

/// In a task of its own: the panic of a load is resumed in its callers.
async fn call(shop: Shop, key: Key, how: How) {
    let log = shop.log.clone();
    let number = log.call(key, how);
    let called = spawn(async move {
        match how {
            How::Plainly => shop.call(key, how).await.map(Some),
            How::Reload => hybridcache::refresh(shop.call(key, how)).await.map(Some),
            How::Bypass => hybridcache::bypass(shop.call(key, how)).await.map(Some),
            How::Peek => Ok(shop.entry(key).get().await),
        }
    });
    let answer = match called.await {
        Ok(Ok(Some(item))) if item.key == key => Answer::Value { version: item.version, origin: item.origin },
        Ok(Ok(Some(item))) => Answer::Foreign(item.key),
        Ok(Ok(None)) => Answer::Nothing,
        Ok(Err(Failure::Database(load))) => Answer::Failed(load),
        Ok(Err(Failure::Load(_))) => Answer::TimedOut,
        Err(_) => Answer::Panicked,
    };
    log.answered(number, answer);
}

/// Writes new versions into the database, then tells the cache.
async fn change(shop: &Shop, change: Change, rng: &mut Rng) {
    let mut written = Vec::new();
    let keys: Vec<Key> = Function::ALL
        .into_iter()
        .flat_map(|function| (0..function.keys()).map(move |id| Key { function, id }))
        .filter(|key| change.covers(*key))
        .collect();
    for key in rng.choose_multiple(keys, 3) {
        written.push((key, shop.database.write(key).await));
    }
    let Some(&(key, version)) = written.first() else { return };
    let number = shop.log.change(change, written);
    let origin = Origin::Put(shop.number, number);
    let patience = if rng.u32(..10) == 0 { Duration::from_millis(rng.u64(..10)) } else { Duration::MAX };
    let told = match timeout(patience, tell(shop, change, Item { key, version, origin })).await {
        Ok(Ok(())) => Told::Acknowledged,
        Ok(Err(_)) => Told::Pending,
        Err(_) => Told::Unheard,
    };
    shop.log.told(number, told);
}

async fn tell(shop: &Shop, change: Change, item: Item) -> Result<(), hybridcache::Error> {
    match change {
        Change::Invalidate(key) => shop.entry(key).invalidate().await,
        Change::Expire(key) => shop.entry(key).expire().await,
        Change::Put(key) => shop.entry(key).put(item).await,
        Change::Shelf(shelf) => shop.cache.invalidate_tag(&format!("shelf:{shelf}")).await,
        Change::Function(function) => shop.cache.invalidate_function(function.name()).await,
        Change::Clear => shop.cache.clear().await,
    }
}

async fn pulse(shop: Shop) {
    let mut beats = 0_u64;
    loop {
        let from = now();
        sleep(PULSE).await;
        let to = now();
        if to - from > STALL {
            shop.log.write(&Record::Stall { from, to });
        }
        beats += 1;
        if beats.is_multiple_of(4) {
            shop.log.write(&Record::Counts(counts(&shop.cache)));
        }
    }
}

fn counts(cache: &HybridCache) -> Counts {
    let stats = cache.stats();
    Counts {
        at: now(),
        hits_memory: stats.hits_memory,
        hits_redis: stats.hits_redis,
        stale_hits: stats.stale_hits,
        joined: stats.joined,
        evictions: stats.evictions,
        fenced: stats.fenced_publishes,
        undecodable: stats.undecodable,
        redis_errors: stats.redis_errors,
        degraded: stats.degraded_loads,
        breaker_opened: stats.breaker_opened,
        breaker_is_open: stats.breaker == BreakerState::Open,
        revalidated: stats.revalidated,
        calls_and_outcomes: None,
    }
}
