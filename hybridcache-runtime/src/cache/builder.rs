//! Configuration, checked once.

use std::env;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::state::Local;
use crate::cache::{HybridCache, Limits};
use crate::coherence::outage::Outage;
use crate::error::Error;
use crate::memory::{Bound, Memory, MemoryTier};
use crate::observe::observer::{GuardedObserver, Observer};
use crate::observe::stream::Settings;
use crate::primitives::clock::bounded;
use crate::shared::Remote;
use crate::shared::wire::compression::Compression;
use crate::shared::wire::packing::Packing;
#[cfg(feature = "encryption")]
use crate::shared::wire::sealed::Keyring;

/// Makes a [`HybridCache`].
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), hybridcache::Error> {
/// use hybridcache::{HybridCache, Memory};
///
/// let cache = HybridCache::builder().namespace("shop").memory(Memory::bytes(64 << 20)).build().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "nothing is built before `build` is called"]
pub struct Builder {
    namespace: String,
    memory: Memory,
    redis: Option<String>,
    outage: Outage,
    limits: Limits,
    observing: Settings,
    packing: Packing,
}

/// The defaults.
const DEFAULT_NAMESPACE: &str = "default";
const DEFAULT_MEMORY: Memory = Memory::entries(100_000);
const DEFAULT_LIMITS: Limits = Limits {
    redis_budget: Duration::from_millis(50),
    lease_limit: Duration::from_secs(60),
    value_limit: 1 << 20,
    degraded_loads: 256,
};

const REDIS_URL: &str = "HYBRIDCACHE_REDIS_URL";
const NAMESPACE: &str = "HYBRIDCACHE_NAMESPACE";
const MEMORY_ENTRIES: &str = "HYBRIDCACHE_MEMORY_ENTRIES";

impl HybridCache {
    /// Configures a cache; [`Builder::build`] builds it.
    pub fn builder() -> Builder {
        Builder {
            namespace: DEFAULT_NAMESPACE.into(),
            memory: DEFAULT_MEMORY,
            redis: None,
            outage: Outage::default(),
            limits: DEFAULT_LIMITS,
            observing: Settings::default(),
            packing: Packing::default(),
        }
    }

    /// A cache that is configured by environment variables: `HYBRIDCACHE_REDIS_URL` (unset or empty: memory only),
    /// `HYBRIDCACHE_NAMESPACE` (`default`), `HYBRIDCACHE_MEMORY_ENTRIES` (100000).
    ///
    /// # Errors
    /// A value that cannot be used; the message names the variable.
    pub async fn from_env() -> Result<Self, Error> {
        let mut builder = Self::builder();
        if let Some(namespace) = variable(NAMESPACE)? {
            check_namespace(NAMESPACE, &namespace)?;
            builder.namespace = namespace;
        }
        if let Some(entries) = variable(MEMORY_ENTRIES)? {
            let problem = |_| Error::config(MEMORY_ENTRIES, format!("`{entries}` is not a whole number of entries"));
            builder.memory = Memory::entries(entries.trim().parse().map_err(problem)?);
            check_memory(MEMORY_ENTRIES, builder.memory)?;
        }
        builder.redis = variable(REDIS_URL)?.filter(|url| !url.trim().is_empty());
        builder.build_with(REDIS_URL).await
    }

    /// The cache of annotated functions where none was installed: memory only.
    pub(crate) fn fallback() -> Self {
        let memory = MemoryTier::new(DEFAULT_MEMORY, false);
        let local = Arc::new(Local::new(DEFAULT_NAMESPACE, memory, Outage::Serve));
        Self::assemble(DEFAULT_NAMESPACE, local, None, 0, DEFAULT_LIMITS, Packing::default())
    }
}

impl Builder {
    /// Separates applications that share a Redis. All processes of one application use the same namespace. Not empty.
    /// Default: `default`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// The bound of memory, over all functions together. At least 1 entry, or 1 byte. Default: 100,000 entries.
    pub fn memory(mut self, memory: Memory) -> Self {
        self.memory = memory;
        self
    }

    /// The Redis that all processes share. Without one the cache is memory only.
    ///
    /// | URL | feature | |
    /// |---|---|---|
    /// | `redis://[[user]:password@]host[:port][/database]` | `redis` | one server; the port is 6379 by default |
    /// | `unix:///path[?db=..&user=..&pass=..]` | `redis` | one server, on a socket |
    /// | `redis-sentinel://[[user]:password@]host[:port],../master-name[/database]` | `sentinel` | the master that these sentinels name, through failovers; their port is 26379 by default |
    /// | `redis-cluster://[[user]:password@]host[:port],..` | `cluster` | a cluster, found by way of these nodes |
    /// | `rediss://`, `rediss-sentinel://`, `rediss-cluster://` | and `tls` | the same over TLS |
    ///
    /// User and password are those of the data servers. Sentinels with a password of their own get it by
    /// `?sentinel_user=..&sentinel_password=..`. In both, special characters are percent-encoded (`/` is `%2F`, `@` is
    /// `%40`).
    ///
    /// With TLS, `?ca=/path/ca.pem` names the private authority that signed the servers' certificates (without it: the
    /// authorities that Mozilla trusts), and `cert=/path/client.pem&key=/path/client.key` the client's own certificate,
    /// all as PEM files, which [`build`](Self::build) reads once. Certificates are always checked. Where the process
    /// has no default `CryptoProvider` of rustls, that of `ring` becomes the default. Cluster nodes and masters are
    /// checked against the names under which the cluster or the sentinels announce them.
    ///
    /// A master that the sentinels have replaced is left within seconds, even if it goes on serving because it has not
    /// noticed. When a cluster has lost a node, the other nodes are still used, as far as the cluster itself goes on.
    #[cfg(feature = "redis")]
    pub fn redis(mut self, url: impl Into<String>) -> Self {
        self.redis = Some(url.into());
        self
    }

    /// How long one call may wait for Redis in total before it goes on without Redis. A miss needs three answers one
    /// after the other: a Redis that takes longer than a third of this for one answer is not used (the breaker stays
    /// open, with a warning). At least 1 ms. Default: 50 ms.
    pub fn redis_budget(mut self, budget: Duration) -> Self {
        self.limits.redis_budget = bounded(budget);
        self
    }

    /// How long a load without a `timeout` keeps other processes from loading the same key. At least 1 s. Default:
    /// 60 s.
    pub fn lease_limit(mut self, limit: Duration) -> Self {
        self.limits.lease_limit = bounded(limit);
        self
    }

    /// Values whose encoding is longer stay in memory, and are counted in
    /// [`Stats::unsendable`](crate::Stats::unsendable). At least 1 byte. Default: 1 MiB, which a network of 1 Gbit/s
    /// transfers in 9 ms: within the default [budget](Self::redis_budget). A call may wait for a large value for a
    /// millisecond longer than the budget for each 16 KiB, if Redis answers meanwhile.
    pub fn value_limit(mut self, bytes: usize) -> Self {
        self.limits.value_limit = bytes;
        self
    }

    /// Compresses values on their way to Redis, pages of the HTTP layer included. Memory has decoded values as before. A
    /// function can opt out: `compress = false`. Default: [`Compression::none`].
    ///
    /// A compressed entry is read only if it was at most [`value_limit`](Self::value_limit) bytes long before it was
    /// compressed: give all processes of a namespace the same limit.
    ///
    /// ```
    /// # use hybridcache_runtime as hybridcache;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hybridcache::Error> {
    /// use hybridcache::{Compression, HybridCache};
    ///
    /// let cache = HybridCache::builder().compression(Compression::lz4()).build().await?;
    /// # Ok(()) }
    /// ```
    pub fn compression(mut self, compression: Compression) -> Self {
        self.packing.compression = compression;
        self
    }

    /// Encrypts every value on its way to Redis, pages of the HTTP layer included, and binds it to its entry: with
    /// AES-256-GCM-SIV, under the ring's primary key. Keys of entries, tags and times are not encrypted. Default: values are not
    /// encrypted.
    ///
    /// To a process with a keyring, an entry that is not encrypted is a miss; so is an encrypted one to a process
    /// without. While a fleet turns encryption on, each process loads what the other half has stored.
    ///
    /// # Errors
    /// [`build`](Self::build) refuses a ring without a primary key.
    #[cfg(feature = "encryption")]
    pub fn encryption(mut self, keys: Keyring) -> Self {
        self.packing.keyring = Some(keys);
        self
    }

    /// How long values in memory are served while Redis cannot be reached. Default: [`Outage::Serve`].
    pub fn outage(mut self, outage: Outage) -> Self {
        self.outage = outage;
        self
    }

    /// How many keys this process may load at the same time without a lease, while Redis cannot grant one, or after
    /// loads of a key have stored nothing. It protects the database from all processes of a fleet at once. Loads that
    /// run for other loads do not count. A call that has to wait does so within its `timeout`, and then fails as if its
    /// load had taken too long; without a `timeout` it waits for 30 s, and then loads. At least 1. Default: 256.
    pub fn degraded_loads(mut self, keys: usize) -> Self {
        self.limits.degraded_loads = keys;
        self
    }

    /// Calls `observer` with each event of the slow path: misses, loads, refreshes, invalidations, warnings and so on. See
    /// [`Observer`](crate::Observer) for what it may do.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observing.observer = Some(GuardedObserver::new(observer));
        self
    }

    /// Whether hits in memory are events for the [`observer`](Self::observer) too. Such a hit costs several times what it costs otherwise, and
    /// what the observer takes. Default: `false`.
    pub fn observe_hits(mut self, observe: bool) -> Self {
        self.observing.observe_hits = observe;
        self
    }

    /// Whether spans show the text of keys (`cache.key`). A key is made of arguments and may contain personal data. Default: `false`, which
    /// shows a hash of each (`cache.key_id`).
    pub fn trace_keys(mut self, show: bool) -> Self {
        self.observing.trace_keys = show;
        self
    }

    /// Checks the settings and builds the cache. Waits up to about a second for Redis. A Redis that is down is logged
    /// as a warning, and is used as soon as it answers. Cancel safe: a future that is dropped leaves no connection
    /// behind.
    ///
    /// # Errors
    /// A setting that cannot be used; the message names it.
    pub async fn build(self) -> Result<HybridCache, Error> {
        self.build_with("redis").await
    }

    /// `redis_setting` is the user's name for the URL setting.
    async fn build_with(self, redis_setting: &str) -> Result<HybridCache, Error> {
        check_namespace("namespace", &self.namespace)?;
        check_memory("memory", self.memory)?;
        self.check_limits()?;
        let process = fastrand::u64(1..);
        let shared = self.redis.is_some();
        // No other process invalidates, so no invalidation can be missed.
        let outage = if shared { self.outage } else { Outage::Serve };
        let local = Arc::new(Local::observed(
            &self.namespace,
            MemoryTier::new(self.memory, shared),
            outage,
            self.observing.clone(),
        ));
        let remote = match &self.redis {
            Some(url) => Some(connect(redis_setting, url, &self.namespace, process, &local).await?),
            None => None,
        };
        Ok(HybridCache::assemble(&self.namespace, local, remote, process, self.limits, self.packing))
    }

    fn check_limits(&self) -> Result<(), Error> {
        let Limits { redis_budget, lease_limit, value_limit, degraded_loads } = self.limits;
        if redis_budget < Duration::from_millis(1) {
            return Err(Error::config("redis_budget", "must be at least 1 ms"));
        }
        if lease_limit < Duration::from_secs(1) {
            return Err(Error::config("lease_limit", "must be at least 1 s"));
        }
        if degraded_loads == 0 {
            return Err(Error::config("degraded_loads", "must be at least 1, or nothing could be loaded in an outage"));
        }
        if value_limit == 0 {
            return Err(Error::config("value_limit", "must be at least 1 byte"));
        }
        if let Some(problem) = self.packing.compression.problem() {
            return Err(Error::config("compression", problem));
        }
        #[cfg(feature = "encryption")]
        if let Some(keys) = &self.packing.keyring {
            keys.check()?;
        }
        Ok(())
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        let redis = self.redis.as_ref().map(|_| "..");
        let Self { namespace, memory, outage, limits, packing, .. } = self;
        f.debug_struct("Builder")
            .field("namespace", namespace)
            .field("memory", memory)
            .field("redis", &redis)
            .field("outage", outage)
            .field("limits", limits)
            .field("packing", packing)
            .finish()
    }
}

#[cfg(feature = "redis")]
async fn connect(
    setting: &str,
    url: &str,
    namespace: &str,
    process: u64,
    local: &Arc<Local>,
) -> Result<Arc<dyn Remote>, Error> {
    match crate::shared::redis::RedisTier::connect(url, namespace, process, local.clone()).await {
        Ok(tier) => Ok(tier),
        Err(problem) => Err(Error::config(setting, problem)),
    }
}

#[cfg(not(feature = "redis"))]
async fn connect(setting: &str, _: &str, _: &str, _: u64, _: &Arc<Local>) -> Result<Arc<dyn Remote>, Error> {
    Err(Error::config(setting, "hybridcache was built without its feature `redis`"))
}

/// An environment variable. Empty is not the same as unset: each setting defines the meaning of empty.
fn variable(name: &str) -> Result<Option<String>, Error> {
    match env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(Error::config(name, "is not UTF-8")),
    }
}

fn check_namespace(setting: &str, namespace: &str) -> Result<(), Error> {
    if namespace.trim().is_empty() {
        return Err(Error::config(setting, "must not be empty: it separates applications that share a Redis"));
    }
    Ok(())
}

fn check_memory(setting: &str, memory: Memory) -> Result<(), Error> {
    match memory.bound {
        Bound::Entries(0) => Err(Error::config(setting, "must hold at least 1 entry")),
        Bound::Bytes(0) => Err(Error::config(setting, "must hold at least 1 byte")),
        Bound::Entries(_) | Bound::Bytes(_) => Ok(()),
    }
}
