//! The handle of one cached entry, as `<function>_entry(..)` returns it.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use crate::cache::HybridCache;
use crate::cache::info::EntryInfo;
use crate::entry::plan::Plan;
use crate::error::Error;
use crate::function::call_key::Key;
use crate::shared::Invalidation;

/// One entry of a cached function that is declared to return `R`.
///
/// For a function `user` the attribute adds `user_entry`, which takes the arguments that the key uses. For
/// `R = Result<T, E>` the entry's value is the `T`; for every other `R` it is the `R` itself, so that a stored `None`
/// of a function that returns `Option<U>` is something: `get()` gives `Some(None)`.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// # fn user_entry(id: u64) -> hybridcache::CacheEntry<Result<String, std::fmt::Error>> { unimplemented!() }
/// # async fn run() -> Result<(), hybridcache::Error> {
/// user_entry(7).invalidate().await?;
/// user_entry(7).put("Ada".to_owned()).await?;
/// assert_eq!(user_entry(7).get().await.as_deref(), Some("Ada"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a handle does nothing by itself"]
pub struct CacheEntry<R> {
    plain: PlainEntry<R>,
}

/// The part of a [`CacheEntry`] that does not depend on the shape of its return type.
#[derive(Debug)]
pub struct PlainEntry<R> {
    cache: HybridCache,
    key: Arc<Key>,
    plan: Plan,
    returns: PhantomData<fn() -> R>,
}

impl<R> CacheEntry<R> {
    /// The handle of an entry of a function that is declared to return `R`.
    pub(crate) fn new(cache: HybridCache, key: Arc<Key>, plan: Plan) -> Self {
        Self { plain: PlainEntry { cache, key, plan, returns: PhantomData } }
    }
}

impl<T: Clone + Send + Sync + 'static, E> CacheEntry<Result<T, E>> {
    /// The cached value, fresh or stale; `None` if there is none. Never loads, waits for no load, and starts no
    /// refresh.
    ///
    /// Looks in memory first; if memory has nothing, asks Redis in one round trip. An entry from Redis is not put into
    /// memory. If Redis cannot be asked, the answer is the entry in memory, under `Outage::Serve` also an entry that
    /// may have missed an invalidation.
    ///
    /// Waits for at most [`redis_budget`](crate::Builder::redis_budget) (50 ms), and not at all for an entry in memory
    /// or while the breaker is open. Not counted as a hit or a miss in [`Stats`](crate::Stats); a failure of Redis is
    /// counted. Cancel safe: it changes nothing.
    pub async fn get(&self) -> Option<T> {
        self.plain.peek().await
    }

    /// Stores a value as if it had just been loaded, in all tiers; other processes drop their copies. A load that began
    /// before can no longer store its result. An invalidation or a put of the key in another process at the same time
    /// takes effect before this put or after it; the later one wins. Once this future has ended, or was dropped, a
    /// later invalidation always wins.
    ///
    /// A value whose encoding is longer than [`value_limit`](crate::Builder::value_limit), or that cannot be encoded,
    /// is stored in this process's memory only, and counted in [`Stats::unsendable`](crate::Stats::unsendable): the
    /// older value is gone everywhere, and other processes load. That is no error.
    ///
    /// Waits for at most one second for each answer of Redis: two, or three if other versions of the function are in
    /// use. Without a connection it does not wait.
    ///
    /// **Cancel safety:** once polled, the older value is invalidated as by [`invalidate`](PlainEntry::invalidate),
    /// also if the future is dropped; the new value is then stored or not.
    ///
    /// # Errors
    /// When Redis did not acknowledge that the older value is gone. Then nothing is stored, this process has deleted
    /// the older value, and the other processes will delete it: see [`Error::is_pending`]. If the older value is gone
    /// everywhere and only storing this one has failed, the error is not pending, and the value may or may not be
    /// stored.
    pub async fn put(&self, value: T) -> Result<(), Error> {
        self.plain.store(value).await
    }
}

impl<R: Clone + Send + Sync + 'static> PlainEntry<R> {
    /// The cached value, fresh or stale; `None` if there is none. Never loads, waits for no load, and starts no
    /// refresh.
    ///
    /// Looks in memory first; if memory has nothing, asks Redis in one round trip. An entry from Redis is not put into
    /// memory. If Redis cannot be asked, the answer is the entry in memory, under `Outage::Serve` also an entry that
    /// may have missed an invalidation.
    ///
    /// Waits for at most [`redis_budget`](crate::Builder::redis_budget) (50 ms), and not at all for an entry in memory
    /// or while the breaker is open. Not counted as a hit or a miss in [`Stats`](crate::Stats); a failure of Redis is
    /// counted. Cancel safe: it changes nothing.
    pub async fn get(&self) -> Option<R> {
        self.peek().await
    }

    /// Stores a value as if it had just been loaded, in all tiers; other processes drop their copies. A load that began
    /// before can no longer store its result. An invalidation or a put of the key in another process at the same time
    /// takes effect before this put or after it; the later one wins. Once this future has ended, or was dropped, a
    /// later invalidation always wins.
    ///
    /// A value whose encoding is longer than [`value_limit`](crate::Builder::value_limit), or that cannot be encoded,
    /// is stored in this process's memory only, and counted in [`Stats::unsendable`](crate::Stats::unsendable): the
    /// older value is gone everywhere, and other processes load. That is no error.
    ///
    /// Waits for at most one second for each answer of Redis: two, or three if other versions of the function are in
    /// use. Without a connection it does not wait.
    ///
    /// **Cancel safety:** once polled, the older value is invalidated as by [`invalidate`](PlainEntry::invalidate),
    /// also if the future is dropped; the new value is then stored or not.
    ///
    /// # Errors
    /// When Redis did not acknowledge that the older value is gone. Then nothing is stored, this process has deleted
    /// the older value, and the other processes will delete it: see [`Error::is_pending`]. If the older value is gone
    /// everywhere and only storing this one has failed, the error is not pending, and the value may or may not be
    /// stored.
    pub async fn put(&self, value: R) -> Result<(), Error> {
        self.store(value).await
    }
}

impl<R> PlainEntry<R> {
    /// Deletes the entry everywhere. A load that began before can no longer store its result, in any tier of any
    /// process.
    ///
    /// In this process the entry is gone at the first poll. Then the future waits for at most one second for an answer
    /// of Redis: one answer, or two if other versions of the function are in use. Without a connection it does not
    /// wait.
    ///
    /// **Cancel safety:** once polled it takes effect everywhere, also if the future is dropped. Never polled, it does
    /// nothing.
    ///
    /// # Errors
    /// When Redis did not acknowledge it. In this process the entry is gone all the same; the invalidation is sent
    /// again as soon as Redis answers: see [`Error::is_pending`]. After [`close`](HybridCache::close): it acts in this
    /// process only.
    pub async fn invalidate(&self) -> Result<(), Error> {
        self.cache.invalidate(&self.key, Invalidation::Delete).await
    }

    /// Marks the entry stale everywhere: the next hit returns it and starts a refresh. If there is no entry, nothing
    /// happens. The result of a load that began before does not count as fresh.
    ///
    /// How long it waits, and its cancel safety, are those of [`invalidate`](Self::invalidate).
    ///
    /// # Errors
    /// When Redis did not acknowledge it. In this process the entry is stale all the same; the expiration is sent again
    /// as soon as Redis answers: see [`Error::is_pending`]. After [`close`](HybridCache::close): it acts in this
    /// process only.
    pub async fn expire(&self) -> Result<(), Error> {
        self.cache.invalidate(&self.key, Invalidation::Expire).await
    }

    /// What is known of the cached value: its age, how long it lasts, where it is. `None` if there is none. Never loads.
    ///
    /// Looks as [`get`](CacheEntry::get) does, waits as long, and is not counted as a hit or a miss either. Cancel safe: it changes nothing.
    ///
    /// ```
    /// # use hybridcache_runtime as hybridcache;
    /// # fn user_entry(id: u64) -> hybridcache::CacheEntry<String> { unimplemented!() }
    /// # async fn run() {
    /// if let Some(info) = user_entry(7).info().await {
    ///     println!("{} bytes in {}, loaded {:?} ago", info.bytes(), info.tier(), info.age());
    /// }
    /// # }
    /// ```
    pub async fn info(&self) -> Option<EntryInfo> {
        let (entry, tier) = self.cache.peek(&self.key, &self.plan).await?;
        Some(EntryInfo::new(&self.cache, &self.plan, &entry, tier))
    }

    /// The readable key, as it is in Redis after the function's name: `user:7`. A key longer than 64 bytes is `#` and a
    /// hash.
    pub fn key(&self) -> &str {
        self.key.address().readable()
    }

    pub(crate) fn cache(&self) -> &HybridCache {
        &self.cache
    }

    async fn peek<V: Clone + 'static>(&self) -> Option<V> {
        let (entry, _) = self.cache.peek(&self.key, &self.plan).await?;
        entry.value.downcast_ref::<V>().cloned()
    }

    async fn store<V: Send + Sync + 'static>(&self, value: V) -> Result<(), Error> {
        self.cache.put(&self.key, &self.plan, Box::new(value)).await
    }
}

impl<R> Deref for CacheEntry<R> {
    type Target = PlainEntry<R>;

    fn deref(&self) -> &PlainEntry<R> {
        &self.plain
    }
}

impl<R> Clone for PlainEntry<R> {
    fn clone(&self) -> Self {
        let Self { cache, key, plan, returns } = self;
        Self { cache: cache.clone(), key: key.clone(), plan: plan.clone(), returns: *returns }
    }
}
