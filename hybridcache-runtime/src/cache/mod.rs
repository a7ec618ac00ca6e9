//! The cache object: its parts, and looks into memory. `read.rs` reads the shared tier, and `write.rs` changes it.

pub(crate) mod builder;
pub(crate) mod closing;
pub(crate) mod encoding;

pub(crate) mod fill;
#[cfg(feature = "inspector")]
pub(crate) mod fleet;
pub(crate) mod handle;
pub(crate) mod info;
pub(crate) mod installed;
pub(crate) mod lease;
mod measured_tier;
mod metrics;
pub(crate) mod puts;
#[cfg(feature = "inspector")]
mod questions;
pub(crate) mod read;
#[cfg(feature = "metrics")]
mod record;
pub(crate) mod recovery;
pub(crate) mod remote_exchange;
pub(crate) mod state;
pub(crate) mod write;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinError;
use tokio::time::Instant;
use tracing::debug;

use crate::cache::closing::close;
use crate::cache::measured_tier::MeasuredTier;
use crate::cache::recovery::Recovery;
use crate::cache::state::Local;
use crate::coherence::stamps::{Stamp, StampSnapshot};
use crate::entry::plan::Plan;
use crate::entry::{Entry, State};
use crate::error::Error;
use crate::function::call_key::{Key, Lookup, PlainKey};
use crate::function::{Function, Functions, Instance};
use crate::key::KeyBuf;
use crate::observe::stats::{BreakerState, Stats};
use crate::observe::{EventKind, Subject, Tier};
use crate::primitives::clock::bounded;
use crate::primitives::clock::{Clock, Millis};
use crate::primitives::log_limit::{LogLimit, MINUTE};
use crate::primitives::timers::Standstill;
use crate::shared::Lifespan;
use crate::shared::budget::Budget;
use crate::shared::wire::packing::Packing;
use crate::shared::{Remote, RemoteError, RemoteErrorKind, StampName, Token};

/// A cache: a memory tier and, where one was configured, a tier that all processes share.
///
/// A cheap handle: clones are the same cache. Annotated functions use the cache that was [installed](Self::install), or
/// the cache that their `cache = ..` names.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), hybridcache::Error> {
/// use hybridcache::{HybridCache, Memory};
///
/// let cache = HybridCache::builder().namespace("shop").memory(Memory::entries(10_000)).build().await?;
/// cache.install()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct HybridCache {
    inner: Arc<Inner>,
}

struct Inner {
    namespace: Arc<str>,
    namespace_stamp: Arc<Stamp>,
    hashing: foldhash::fast::RandomState,
    functions: Functions,
    local: Arc<Local>,
    shared: Option<Shared>,
    process: u64,
    attempts: AtomicU64,
    limits: Limits,
    packing: Packing,
    /// For warnings about a shared tier that refuses commands.
    log_limit: LogLimit,
    /// The permits of loads without a lease.
    degraded: Semaphore,
}

/// The tier that all processes share, and the task that closes the breaker after an outage.
struct Shared {
    remote: Arc<dyn Remote>,
    recovery: Recovery,
    is_closed: AtomicBool,
    /// The result of closing it.
    closed: OnceCell<Result<(), Error>>,
}

/// The limits of one call; see the builder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) redis_budget: Duration,
    pub(crate) lease_limit: Duration,
    pub(crate) value_limit: usize,
    pub(crate) degraded_loads: usize,
}

/// The result of a look into memory.
#[derive(Clone, Debug, Default)]
pub(crate) enum InMemory {
    /// The entry is fresh or stale.
    Usable(Arc<Entry>),
    /// The entry may have missed its invalidation: it must be compared with the shared tier first.
    Unverified(Arc<Entry>),
    #[default]
    Nothing,
}

impl HybridCache {
    pub(crate) fn assemble(
        namespace: &str,
        local: Arc<Local>,
        remote: Option<Arc<dyn Remote>>,
        process: u64,
        limits: Limits,
        packing: Packing,
    ) -> Self {
        let shared = remote.map(|remote| {
            let remote: Arc<dyn Remote> = Arc::new(MeasuredTier::new(remote, local.events.clone()));
            let recovery = Recovery::start(local.clone(), remote.clone(), limits.redis_budget);
            Shared { remote, recovery, is_closed: AtomicBool::new(false), closed: OnceCell::new() }
        });
        let namespace_stamp = local.stamps.named(StampName::of_namespace(namespace));
        let namespace = namespace.into();
        let inner = Inner {
            functions: Functions::new(&namespace, local.events.stream.clone()),
            namespace,
            namespace_stamp,
            hashing: foldhash::fast::RandomState::default(),
            local,
            shared,
            process,
            attempts: AtomicU64::new(0),
            log_limit: LogLimit::every(MINUTE),
            degraded: Semaphore::new(limits.degraded_loads.min(Semaphore::MAX_PERMITS)),
            limits,
            packing,
        };
        let cache = Self { inner: Arc::new(inner) };
        #[cfg(feature = "inspector")]
        cache.answer_questions();
        cache
    }

    /// Ends the use of Redis at the end of a program. Pending invalidations, and those whose caller was dropped, are
    /// sent. The leases of loads that still run are returned, so that other processes need not wait until they expire.
    /// Then the connections end. Takes at most `deadline`, and a few milliseconds if Redis answers.
    ///
    /// From the first poll on, this cache works as if Redis were down for good. Calls are answered from memory (as
    /// [`Outage`](crate::Outage) says) and from loads, at most [`degraded_loads`](crate::Builder::degraded_loads) at
    /// once; the result of a load is stored in memory only. An invalidation acts in this process and returns an error
    /// whose [`is_pending`](Error::is_pending) is false. Loads are not ended. For a cache without Redis, `close` does
    /// nothing, and the cache works as before. This holds for all clones of the cache, and a later `close` returns the
    /// result of the first one.
    ///
    /// **Cancel safety:** once polled it goes on, also if the future is dropped.
    ///
    /// ```
    /// # use hybridcache_runtime as hybridcache;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hybridcache::Error> {
    /// use std::time::Duration;
    ///
    /// let cache = hybridcache::HybridCache::builder().build().await?;
    /// // the program does its work
    /// cache.close(Duration::from_secs(2)).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When invalidations could not be sent before the deadline: other processes do not get them. When the closing task
    /// itself ended early (by a panic, which is a bug): how much it has done is not known.
    pub async fn close(&self, deadline: Duration) -> Result<(), Error> {
        let Some(shared) = &self.inner.shared else { return Ok(()) };
        let _standstill = Standstill::begin();
        shared.closed.get_or_init(|| shared.close(self.local(), deadline)).await.clone()
    }

    /// Replaces the builder's URL, with new credentials for instance, without a restart: new connections are made, and
    /// the older ones end. A cluster cannot replace a single server, nor the other way round, and the number of the
    /// database stays. Entries in memory are compared with Redis before they are served again, as after any
    /// reconnection.
    ///
    /// Waits up to a second. **Cancel safety:** once polled, the new URL is in use, also if the future is dropped.
    ///
    /// # Errors
    /// `is_config()`: the URL cannot be used, or this cache has no Redis or was closed; nothing has changed.
    /// `is_unavailable()`: the new URL is in use, and there is no connection yet; a background task keeps trying.
    pub async fn reconnect(&self, url: impl AsRef<str>) -> Result<(), Error> {
        let Some(shared) = &self.inner.shared else {
            return Err(Error::config("reconnect", "this cache was built without Redis"));
        };
        if shared.is_closed.load(Ordering::Acquire) {
            return Err(Error::config("reconnect", "this cache was closed"));
        }
        let _standstill = Standstill::begin();
        let connecting =
            shared.remote.reconnect(url.as_ref()).map_err(|problem| Error::config("reconnect", problem))?;
        connecting.await.map_err(|error| error.not_reconnected())
    }

    /// # Errors
    /// Where the cache was closed, so that other processes cannot be notified of `action`.
    pub(crate) fn is_open_for(&self, action: impl FnOnce() -> String) -> Result<(), Error> {
        match &self.inner.shared {
            Some(shared) if shared.is_closed.load(Ordering::Acquire) => Err(Error::closed(&action())),
            _ => Ok(()),
        }
    }

    /// Counters over all functions. Invalidations of tags and of the whole namespace are counted here only.
    pub fn stats(&self) -> Stats {
        let functions = self.inner.functions.all();
        let mut own = self.inner.local.events.counters.snapshot();
        let local = &self.inner.local;
        own.breaker = if local.breaker.is_open() { BreakerState::Open } else { BreakerState::Closed };
        own.breaker_opened = local.breaker.openings();
        own.pending_invalidations = local.journal.pending() as u64;
        functions.iter().map(|function| function.events.counters.snapshot()).fold(own, Stats::add)
    }

    /// Counters of one function, by its name: `crate::module::function` unless it has a `name = ".."`. Generic
    /// functions have one name for each instantiation. All are zero if no function of that name was called yet.
    pub fn function_stats(&self, name: &str) -> Stats {
        let functions = self.inner.functions.all();
        let named = functions.iter().filter(|function| function.name() == name);
        named.map(|function| function.events.counters.snapshot()).fold(Stats::default(), Stats::add)
    }

    /// The names of the functions that were called through this cache, in no particular order.
    pub fn function_names(&self) -> Vec<String> {
        self.inner.functions.all().iter().map(|function| function.name().to_owned()).collect()
    }

    /// The number of entries in memory.
    pub fn memory_entries(&self) -> u64 {
        self.inner.local.memory.entry_count()
    }

    /// Gives the cache as long as any handle of it lives.
    #[cfg(feature = "metrics")]
    pub(crate) fn downgrade(&self) -> impl Fn() -> Option<Self> + Send + 'static {
        let inner = Arc::downgrade(&self.inner);
        move || inner.upgrade().map(|inner| Self { inner })
    }

    #[inline]
    pub(crate) fn clock(&self) -> Clock {
        self.inner.local.clock
    }

    pub(crate) fn functions(&self) -> Vec<Arc<Function>> {
        self.inner.functions.all()
    }

    pub(crate) fn function_named(&self, name: &str) -> Option<Arc<Function>> {
        self.inner.functions.all().into_iter().find(|function| function.name() == name)
    }

    /// What happens to the cache as a whole.
    pub(crate) fn events(&self) -> &Subject {
        &self.inner.local.events
    }

    /// A call is answered from memory. Where the fast path has found a fresh entry, it has counted the hit itself.
    #[cold]
    pub(crate) fn hit_in_memory(&self, entry: &Entry, stale: bool) {
        let key = &entry.meta.key;
        entry.meta.visit();
        let kind = EventKind::Hit { tier: Tier::Memory, stale };
        #[cfg(feature = "inspector")]
        self.events().stream.sampler.hit(key.function.name(), key);
        if self.events().stream.settings().observe_hits {
            key.happened(kind);
        } else {
            key.function.events.counters.count(&kind);
        }
    }

    /// The entry in memory of the key with this text, as [`PlainEntry::key`](crate::PlainEntry::key) gives it. Looks at all entries.
    #[cfg(feature = "inspector")]
    pub(crate) fn entry_called(&self, function: &str, key: &str) -> Option<Arc<Entry>> {
        use crate::observe::Keyed as _;
        self.inner.local.memory.find_by(|entry| {
            let known = &entry.meta.key;
            known.function.name() == function && known.readable() == key
        })
    }

    /// Sends hits down the slow path, where they are seen, or no longer.
    #[cfg(feature = "inspector")]
    pub(crate) fn watch_hits(&self, watch: bool) {
        self.inner.local.trust.watch_hits(watch || self.events().stream.settings().observe_hits);
    }

    #[inline]
    pub(crate) fn local(&self) -> &Arc<Local> {
        &self.inner.local
    }

    pub(crate) fn limits(&self) -> Limits {
        self.inner.limits
    }

    pub(crate) fn packing(&self) -> &Packing {
        &self.inner.packing
    }

    /// The time that one call may spend on waiting for the shared tier.
    pub(crate) fn budget(&self) -> Budget {
        Budget::new(self.inner.limits.redis_budget, self.inner.local.breaker.clone())
    }

    /// The permits of loads without a lease.
    pub(crate) fn degraded(&self) -> &Semaphore {
        &self.inner.degraded
    }

    /// Where this process is among the processes of a fleet, from 0 to 1, at random.
    pub(crate) fn spread(&self) -> f64 {
        (self.inner.process >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn next_token(&self) -> Token {
        Token { process: self.inner.process, attempt: self.inner.attempts.fetch_add(1, Ordering::Relaxed) }
    }

    #[inline]
    pub(crate) fn lookup<'a>(&self, instance: &'a Instance<'a>, args: &'a KeyBuf) -> Lookup<'a> {
        Lookup::new(instance, args, &self.inner.hashing)
    }

    /// Counts a failure of the shared tier that the call goes on without, and logs it. A refused command is logged as a
    /// warning once a minute; all other failures, and the recovery, are logged by the connection.
    pub(crate) fn redis_failed(&self, key: &PlainKey, error: &RemoteError) {
        key.happened(EventKind::SharedFailed);
        if error.kind == RemoteErrorKind::Refused {
            let is_due = self.inner.log_limit.allow();
            self.events().warn(is_due, "redis_refuses", "Redis refuses; going on without it", Some(error));
        } else {
            debug!(%error, "going on without Redis");
        }
    }

    /// The key of a call that memory has not answered.
    pub(crate) fn key(&self, lookup: &Lookup<'_>) -> Arc<Key> {
        let function = self.inner.functions.resolve(lookup.instance(), |name| self.function_stamp(name));
        Arc::new(Key::new(PlainKey::new(lookup, function)))
    }

    pub(crate) fn function_stamp(&self, name: &str) -> Arc<Stamp> {
        self.inner.local.stamps.named(StampName::of_function(&self.inner.namespace, name))
    }

    pub(crate) fn tag_stamp(&self, tag: &str) -> Arc<Stamp> {
        self.inner.local.stamps.named(StampName::of_tag(&self.inner.namespace, tag))
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.inner.namespace
    }

    pub(crate) fn namespace_stamp(&self) -> &Arc<Stamp> {
        &self.inner.namespace_stamp
    }

    /// The current stamps of the namespace, the function and the tags, in the order in which envelopes have them.
    pub(crate) fn capture_stamps(&self, key: &Key, plan: &Plan) -> StampSnapshot {
        let tags: Vec<_> = plan.tags.iter().map(|tag| self.tag_stamp(&tag.unescaped())).collect();
        let function = &key.function;
        let stamps = [&self.inner.namespace_stamp, &function.stamp].into_iter().chain(&tags);
        let seen = StampSnapshot::capture_in(function.version(), stamps);
        // Under `Outage::Strict` a number from earlier does not do: an entry that is read under it would be trusted for
        // as long as if the number had been read with the entry, and the message that changed it may be lost. So the
        // numbers are read again.
        if self.inner.local.trust.asks_for_proof() {
            seen.forget_values();
        }
        seen
    }

    /// How long the stamps must live for a value that is loaded now and will carry them.
    pub(crate) fn lifespan(&self, plan: &Plan) -> Lifespan {
        let ttl = Duration::from_millis(plan.lifetimes.ttl());
        Lifespan::of(ttl, plan.timeout.unwrap_or(self.inner.limits.lease_limit))
    }

    /// The state of an entry in memory. While the shared tier cannot be asked, an unverified entry counts as fresh or
    /// stale by its times alone (under `Outage::Serve`).
    pub(crate) fn state(&self, entry: &Entry, now: Millis) -> State {
        let local = &self.inner.local;
        match entry.meta.state(now, local.trust.now()) {
            State::Unverified if local.breaker.is_open() && local.trust.serves_unverified() => {
                entry.meta.unproven_state(now)
            }
            state => state,
        }
    }

    /// Looks in memory for the entry of a key.
    pub(crate) fn look(&self, key: &Arc<Key>) -> InMemory {
        let Some(entry) = self.inner.local.memory.find(key) else { return InMemory::Nothing };
        match self.state(&entry, self.clock().now()) {
            State::Fresh | State::Stale => InMemory::Usable(entry),
            State::Unverified => InMemory::Unverified(entry),
            State::Gone => InMemory::Nothing,
        }
    }

    /// The entry of a key in memory, if it is fresh or stale.
    pub(crate) fn in_memory(&self, key: &Arc<Key>) -> Option<Arc<Entry>> {
        match self.look(key) {
            InMemory::Usable(entry) => Some(entry),
            InMemory::Unverified(_) | InMemory::Nothing => None,
        }
    }

    /// Whether the shared tier probably has no entry for a key that memory does not have: this process has just deleted
    /// it, or the function's latest reads found nothing.
    pub(crate) fn expects_a_miss(&self, key: &Key) -> bool {
        self.inner.local.deleted.take(key.id()) || key.function.miss_predictor.is_miss()
    }

    /// The entry of a key in memory, if it may have missed its invalidation.
    pub(crate) fn unverified(&self, key: &Arc<Key>, plan: &Plan) -> Option<Arc<Entry>> {
        let entry = self.inner.local.memory.find(key)?;
        let is_unverified = entry.meta.state(self.clock().now(), self.inner.local.trust.now()) == State::Unverified;
        (is_unverified && plan.has_type_of(&entry)).then_some(entry)
    }

    /// The shared tier, for invalidations: whatever the type of the value.
    pub(crate) fn remote(&self) -> Option<&Arc<dyn Remote>> {
        self.inner.shared.as_ref().map(|shared| &shared.remote)
    }

    /// The shared tier, if this call uses it.
    pub(crate) fn remote_for(&self, function: &Function, plan: &Plan) -> Option<&Arc<dyn Remote>> {
        let remote = self.remote().filter(|_| plan.value.is_shared())?;
        if !function.is_unambiguous() {
            function.warn_of_its_name();
            return None;
        }
        (!function.fit.is_excluded()).then_some(remote)
    }
}

impl Shared {
    async fn close(&self, local: &Arc<Local>, deadline: Duration) -> Result<(), Error> {
        self.is_closed.store(true, Ordering::Release);
        // The breaker stays open: only the recovery task closes it, and that has ended.
        self.recovery.end();
        local.breaker.open();
        let deadline = Instant::from_std(std::time::Instant::now() + bounded(deadline));
        let closing = self.remote.runtime().spawn(close(local.clone(), self.remote.clone(), deadline));
        let ended = closing.await;
        if ended.is_err() {
            self.remote.close();
        }
        closed(ended, local.journal.pending())
    }
}

/// The result of the task that closes a cache.
fn closed(ended: Result<Result<(), (usize, RemoteError)>, JoinError>, pending: usize) -> Result<(), Error> {
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err((pending, error))) => Err(error.unsent(pending)),
        Err(ended) if ended.is_panic() => Err(Error::not_closed(pending, "it panicked, which is a bug of hybridcache")),
        Err(_) => Err(Error::not_closed(pending, "its thread has ended")),
    }
}

impl fmt::Debug for HybridCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HybridCache")
            .field("namespace", &self.inner.namespace)
            .field("shared", &self.inner.shared.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Killed by: taking a task that has not ended in order for one that has.
    #[tokio::test]
    async fn a_cache_whose_closing_did_not_end_is_not_closed() {
        type Closing = Result<(), (usize, RemoteError)>;
        let panicked = tokio::spawn(async { std::panic::resume_unwind(Box::new("a bug")) });
        let aborted = tokio::spawn(std::future::pending::<Closing>());
        aborted.abort();
        for ended in [panicked, aborted] {
            let error = closed(ended.await, 3).expect_err("it has not ended in order");
            assert!(!error.is_pending() && error.to_string().contains("3 invalidations"), "{error}");
        }
        assert!(closed(Ok(Ok(())), 0).is_ok());
    }
}
