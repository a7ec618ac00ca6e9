//! The cache object: look-up, reading, storing and invalidating over its tiers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::address::Address;
use crate::budget::Budget;
use crate::clock::Clock;
use crate::codec::Kind;
use crate::entry::{Entry, Meta, State};
use crate::envelope::{self, Header, MESSAGE_PACK, UNCOMPRESSED};
use crate::error::Error;
use crate::function::{Function, Functions, Instance, Key, Lookup};
use crate::local::Local;
use crate::outcome::Outcome;
use crate::remote::{Invalidation, Published, Remote, RemoteError, StampName, Token};
use crate::settings::Plan;
use crate::stamps::{Seen, Stamp};
use crate::stats::{Counters, Stats, count};
use crate::value::AnyValue;

/// A cache: a memory tier and, where one was configured, a tier that all processes share.
///
/// A cheap handle: clones are the same cache. Annotated functions use the one that was [installed](Self::install), or the
/// one that their `cache = ..` names.
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
    namespace: Box<str>,
    namespace_stamp: Arc<Stamp>,
    clock: Clock,
    hashing: foldhash::fast::RandomState,
    functions: Functions,
    /// What belongs to no function.
    counters: Counters,
    local: Arc<Local>,
    remote: Option<Arc<dyn Remote>>,
    process: u64,
    attempts: AtomicU64,
    limits: Limits,
}

/// Bounds of one call; see the builder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) redis_budget: Duration,
    pub(crate) lease_limit: Duration,
    pub(crate) value_limit: usize,
}

/// What the shared tier has of a key.
pub(crate) enum Read {
    /// With the fence of what was read.
    Fresh(Arc<Entry>, Vec<u8>),
    /// With the fence of what was read.
    Stale(Arc<Entry>, Vec<u8>),
    /// Nothing that can be used; with the bytes that stand where a fence would.
    Absent(Vec<u8>),
}

impl HybridCache {
    pub(crate) fn assemble(
        namespace: &str,
        local: Arc<Local>,
        remote: Option<Arc<dyn Remote>>,
        process: u64,
        limits: Limits,
    ) -> Self {
        let inner = Inner {
            namespace: namespace.into(),
            namespace_stamp: local.stamps.named(StampName::of_namespace(namespace)),
            clock: Clock::start(),
            hashing: foldhash::fast::RandomState::default(),
            functions: Functions::default(),
            counters: Counters::default(),
            local,
            remote,
            process,
            attempts: AtomicU64::new(0),
            limits,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Counters over all functions; invalidations of tags and of the whole namespace are in here only.
    pub fn stats(&self) -> Stats {
        let functions = self.inner.functions.all();
        let own = self.inner.counters.snapshot();
        functions.iter().map(|function| function.counters.snapshot()).fold(own, Stats::add)
    }

    /// Counters of one function, by its name: `crate::module::function` unless it has a `name = ".."`. Generic functions
    /// have one name for each instantiation. All zero where no function of that name was called yet.
    pub fn function_stats(&self, name: &str) -> Stats {
        let functions = self.inner.functions.all();
        let named = functions.iter().filter(|function| function.name() == name);
        named.map(|function| function.counters.snapshot()).fold(Stats::default(), Stats::add)
    }

    /// The names of the functions that were called through this cache, in no particular order.
    pub fn function_names(&self) -> Vec<String> {
        self.inner.functions.all().iter().map(|function| function.name().to_owned()).collect()
    }

    /// How many entries memory holds.
    pub fn memory_entries(&self) -> u64 {
        self.inner.local.memory.entry_count()
    }

    /// Invalidates every entry that carries the tag, whatever function it belongs to.
    ///
    /// `tag` is the text as the template gives it with its values put in: `"org:9"`.
    ///
    /// # Errors
    /// When the shared tier could not be told.
    pub async fn invalidate_tag(&self, tag: &str) -> Result<(), Error> {
        count(&self.inner.counters.invalidations);
        let stamp = self.tag_stamp(tag);
        self.restamp(&stamp, &format!("invalidate tag `{tag}`")).await
    }

    /// Invalidates every entry of a function, by its name (see [`Self::function_stats`]).
    ///
    /// # Errors
    /// When the shared tier could not be told.
    pub async fn invalidate_function(&self, name: &str) -> Result<(), Error> {
        let functions = self.inner.functions.all();
        let named = functions.iter().find(|function| function.name() == name);
        count(&named.map_or(&self.inner.counters, |function| &function.counters).invalidations);
        let stamp = self.function_stamp(name);
        self.restamp(&stamp, &format!("invalidate function `{name}`")).await
    }

    /// Invalidates every entry of the namespace, in all processes.
    ///
    /// # Errors
    /// When the shared tier could not be told.
    pub async fn clear(&self) -> Result<(), Error> {
        count(&self.inner.counters.invalidations);
        let stamp = self.inner.namespace_stamp.clone();
        self.restamp(&stamp, "clear the namespace").await
    }

    async fn restamp(&self, stamp: &Arc<Stamp>, action: &str) -> Result<(), Error> {
        stamp.void();
        let Some(remote) = &self.inner.remote else { return Ok(()) };
        let told = remote.restamp(std::slice::from_ref(&stamp.name)).await;
        // What was read from the shared tier meanwhile may have carried the number from before.
        stamp.void();
        told.map_err(|error| {
            count(&self.inner.counters.redis_errors);
            Error::remote(action, &error)
        })
    }

    pub(crate) fn clock(&self) -> Clock {
        self.inner.clock
    }

    pub(crate) fn local(&self) -> &Arc<Local> {
        &self.inner.local
    }

    pub(crate) fn limits(&self) -> Limits {
        self.inner.limits
    }

    pub(crate) fn budget(&self) -> Budget {
        Budget::new(self.inner.limits.redis_budget)
    }

    pub(crate) fn next_token(&self) -> Token {
        Token { process: self.inner.process, attempt: self.inner.attempts.fetch_add(1, Ordering::Relaxed) }
    }

    pub(crate) fn lookup<'a>(&self, instance: Instance<'a>, args: &'a [u8]) -> Lookup<'a> {
        Lookup::new(instance, args, &self.inner.hashing)
    }

    /// The key that a look-up did not find.
    pub(crate) fn key(&self, lookup: Lookup<'_>) -> Arc<Key> {
        let function = self.inner.functions.resolve(lookup.instance(), |name| self.function_stamp(name));
        // Keys are printable ASCII.
        let args = String::from_utf8_lossy(lookup.args());
        let address = Address::new(&self.inner.namespace, function.name(), function.version(), &args);
        Arc::new(lookup.to_key(function, address))
    }

    fn function_stamp(&self, name: &str) -> Arc<Stamp> {
        self.inner.local.stamps.named(StampName::of_function(&self.inner.namespace, name))
    }

    fn tag_stamp(&self, tag: &str) -> Arc<Stamp> {
        self.inner.local.stamps.named(StampName::of_tag(&self.inner.namespace, tag))
    }

    /// The stamps that stand now: of the namespace, of the function, of the tags, in the order in which envelopes have
    /// them.
    pub(crate) fn seen(&self, key: &Key, plan: &Plan) -> Seen {
        let tags: Vec<_> = plan.tags.iter().map(|tag| self.tag_stamp(&tag.unescaped())).collect();
        Seen::capture([&self.inner.namespace_stamp, &key.function.stamp].into_iter().chain(&tags))
    }

    /// What memory has of a key, fresh or stale.
    pub(crate) fn in_memory(&self, key: &Arc<Key>) -> Option<Arc<Entry>> {
        let entry = self.inner.local.memory.find_key(key)?;
        let state = entry.meta.state(self.inner.clock.now(), self.inner.local.epoch());
        (state != State::Gone).then_some(entry)
    }

    /// The shared tier, where this call uses it.
    pub(crate) fn remote_for(&self, function: &Function, plan: &Plan) -> Option<&Arc<dyn Remote>> {
        let shared = plan.value.is_shared() && function.is_unambiguous();
        self.inner.remote.as_ref().filter(|_| shared)
    }

    /// Reads the key in the shared tier. `epoch` and `seen` were captured before.
    pub(crate) async fn read(
        &self,
        remote: &dyn Remote,
        fill: &Fill<'_>,
        budget: &mut Budget,
    ) -> Result<Read, RemoteError> {
        let mut asked = fill.seen.unknown();
        loop {
            let fetched = budget.spend(remote.fetch(&fill.key.address, &asked)).await?;
            fill.seen.learn(&asked, fetched.stamps);
            let Some(bytes) = fetched.entry else { return Ok(Read::Absent(Vec::new())) };
            let fence = bytes.get(16..32.min(bytes.len())).unwrap_or_default().to_vec();
            let Ok((header, payload)) = envelope::decode(&bytes) else {
                count(&fill.key.function.counters.undecodable);
                return Ok(Read::Absent(fence));
            };
            let others = fill.seen.other_than(&header.stamps);
            if others.is_empty() && header.stamps.len() == fill.seen.len() {
                return Ok(self.decode(remote, fill, &header, payload, fence));
            }
            // Void, unless this process is the one that is wrong: the shared tier may have lost a stamp, and another
            // process have created it anew.
            let in_doubt: Vec<_> = others.into_iter().filter(|name| !asked.contains(name)).collect();
            if in_doubt.is_empty() {
                return Ok(Read::Absent(fence));
            }
            asked.extend(in_doubt);
        }
    }

    /// An entry of what was read, with the lifetimes that remain.
    fn decode(&self, remote: &dyn Remote, fill: &Fill<'_>, header: &Header, payload: &[u8], fence: Vec<u8>) -> Read {
        let (here, there) = (self.inner.clock.now(), remote.now().unwrap_or(header.expires_at));
        let is_stale = header.expired_by_hand || there >= header.fresh_until;
        let fresh_until = if is_stale { here } else { here + header.fresh_until.saturating_sub(there) };
        let expires_at = here + header.expires_at.saturating_sub(there);
        let meta = Meta::new(fill.key.clone(), fresh_until, expires_at, fill.seen.clone(), fill.epoch);
        match fill.plan.value.decode(header.kind, payload, meta) {
            _ if there >= header.expires_at => Read::Absent(fence),
            Ok(entry) if is_stale => Read::Stale(self.weighed(entry, fill.plan, Some(payload.len())), fence),
            Ok(entry) => Read::Fresh(self.weighed(entry, fill.plan, Some(payload.len())), fence),
            Err(_) => {
                count(&fill.key.function.counters.undecodable);
                Read::Absent(fence)
            }
        }
    }

    /// An entry for a value that was loaded just now.
    pub(crate) fn entry(&self, fill: &Fill<'_>, value: Box<AnyValue>, encoded: Option<usize>) -> Option<Arc<Entry>> {
        let now = self.inner.clock.now();
        let lifetimes = fill.plan.lifetimes;
        let (fresh_until, expires_at) = (now + lifetimes.fresh_for(), now + lifetimes.ttl());
        let meta = Meta::new(fill.key.clone(), fresh_until, expires_at, fill.seen.clone(), fill.epoch);
        fill.plan.value.seal(value, meta).map(|entry| self.weighed(entry, fill.plan, encoded))
    }

    fn weighed(&self, mut entry: Arc<Entry>, plan: &Plan, encoded: Option<usize>) -> Arc<Entry> {
        // Nobody else has it yet.
        if let Some(entry) = Arc::get_mut(&mut entry) {
            let value = plan.weigh(&entry.value, encoded);
            entry.meta.weigh(value);
        }
        entry
    }

    /// The envelope of a value that was loaded just now. `None`: it stays in memory, and that was counted.
    pub(crate) fn encode(&self, remote: &dyn Remote, fill: &Fill<'_>, value: &AnyValue, load: Load) -> Option<Vec<u8>> {
        let now = remote.now()?;
        let lifetimes = fill.plan.lifetimes;
        let header = Header {
            expired_by_hand: false,
            codec: MESSAGE_PACK,
            compression: UNCOMPRESSED,
            kind: Kind::Value,
            flags: 0,
            cost_ms: u32::try_from(load.took.as_millis()).unwrap_or(u32::MAX),
            fence: load.token.to_bytes(),
            loaded_at: now.saturating_sub(load.took.as_millis() as u64),
            fresh_until: now + lifetimes.fresh_for(),
            expires_at: now + lifetimes.ttl(),
            stamps: fill.seen.remote()?,
        };
        let bytes = envelope::encode_with(&header, |bytes| fill.plan.value.encode(value, bytes)).ok();
        let sendable = bytes.filter(|bytes| bytes.len() <= self.inner.limits.value_limit);
        if sendable.is_none() {
            count(&fill.key.function.counters.unsendable);
        }
        sendable
    }

    pub(crate) async fn invalidate(&self, key: &Arc<Key>, mode: Invalidation) -> Result<(), Error> {
        count(&key.function.counters.invalidations);
        let local = &self.inner.local;
        local.invalidate(key, mode);
        let Some(remote) = self.inner.remote.as_ref().filter(|_| key.function.is_unambiguous()) else { return Ok(()) };
        let told = remote.invalidate(&key.address, mode).await;
        // What was read from the shared tier meanwhile may be from before.
        local.invalidate(key, mode);
        told.map_err(|error| {
            count(&key.function.counters.redis_errors);
            Error::remote(&format!("invalidate {key}"), &error)
        })
    }

    /// What is cached, without loading.
    pub(crate) async fn peek(&self, key: &Arc<Key>, plan: &Plan) -> Option<Arc<Entry>> {
        if let Some(entry) = self.in_memory(key) {
            return Some(entry);
        }
        let remote = self.remote_for(&key.function, plan)?;
        let (seen, epoch) = (self.seen(key, plan), self.inner.local.epoch());
        let fill = Fill { key, plan, seen: &seen, epoch };
        match self.read(&**remote, &fill, &mut self.budget()).await {
            Ok(Read::Fresh(entry, _) | Read::Stale(entry, _)) => Some(entry),
            Ok(Read::Absent(_)) => None,
            Err(_) => {
                count(&key.function.counters.redis_errors);
                None
            }
        }
    }

    /// Stores a value as if it had just been loaded. It takes the place of whatever is loading: those who join meanwhile
    /// get it.
    pub(crate) async fn put(&self, key: &Arc<Key>, plan: &Plan, value: Box<AnyValue>) -> Result<(), Error> {
        count(&key.function.counters.invalidations);
        let local = &self.inner.local;
        local.invalidate(key, Invalidation::Delete);
        let (seen, epoch) = (self.seen(key, plan), local.epoch());
        let leader = local.flights.supersede(key, seen.clone());
        let fill = Fill { key, plan, seen: &seen, epoch };
        let action = || format!("put {key}");
        let mut encoded = None;
        if let Some(remote) = self.remote_for(&key.function, plan) {
            let told = self.put_remote(&**remote, &fill, &*value, &mut encoded).await;
            told.map_err(|error| {
                count(&key.function.counters.redis_errors);
                Error::remote(&action(), &error)
            })?;
        }
        if let Some(entry) = self.entry(&fill, value, encoded) {
            leader.store(|| local.memory.insert(entry.clone()));
            leader.finish(|_| Outcome::Value(entry));
        }
        Ok(())
    }

    async fn put_remote(
        &self,
        remote: &dyn Remote,
        fill: &Fill<'_>,
        value: &AnyValue,
        encoded: &mut Option<usize>,
    ) -> Result<(), RemoteError> {
        let unknown = fill.seen.unknown();
        if !unknown.is_empty() {
            fill.seen.learn(&unknown, remote.create_stamps(&unknown).await?.into_iter().map(Some));
        }
        let load = Load { token: self.next_token(), took: Duration::ZERO };
        match self.encode(remote, fill, value, load) {
            Some(bytes) => {
                *encoded = Some(bytes.len());
                let ttl = Duration::from_millis(fill.plan.lifetimes.ttl());
                match remote.put(&fill.key.address, load.token, bytes, ttl).await? {
                    Published::Stored | Published::Fenced => Ok(()),
                    Published::Refused => Err(RemoteError::refused("Redis did not take the value")),
                }
            }
            // It stays in this process; others must not keep the older one.
            None => remote.invalidate(&fill.key.address, Invalidation::Delete).await,
        }
    }
}

/// What a filling of memory is checked against: all captured before the shared tier was read, or the load begun.
#[derive(Clone, Copy)]
pub(crate) struct Fill<'a> {
    pub(crate) key: &'a Arc<Key>,
    pub(crate) plan: &'a Plan,
    pub(crate) seen: &'a Seen,
    pub(crate) epoch: u64,
}

/// A load that gave a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) token: Token,
    pub(crate) took: Duration,
}

impl fmt::Debug for HybridCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HybridCache")
            .field("namespace", &self.inner.namespace)
            .field("shared", &self.inner.remote.is_some())
            .finish_non_exhaustive()
    }
}
