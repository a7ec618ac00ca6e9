//! The handle of one cached entry: what `<function>_entry(..)` returns.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use crate::cache::HybridCache;
use crate::entry::Entry;
use crate::entry::plan::Plan;
use crate::error::Error;
use crate::function::call_key::Key;
use crate::shared::Invalidation;

/// One entry of a cached function that is declared to return `R`.
///
/// For a function `user` the attribute adds `user_entry`, which takes the arguments that the key uses. For
/// `R = Result<T, E>` the entry's value is the `T`; for every other `R` it is the `R` itself, so that a stored `None` of a
/// function that returns `Option<U>` is something: `get()` gives `Some(None)`.
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

/// The part of a [`CacheEntry`] that does not take its type apart.
#[derive(Debug)]
pub struct PlainEntry<R> {
    cache: HybridCache,
    key: Arc<Key>,
    plan: Plan,
    returns: PhantomData<fn() -> R>,
}

impl<R> CacheEntry<R> {
    /// Of a function that is declared to return `R`.
    pub(crate) fn new(cache: HybridCache, key: Arc<Key>, plan: Plan) -> Self {
        Self { plain: PlainEntry { cache, key, plan, returns: PhantomData } }
    }
}

impl<T: Clone + Send + Sync + 'static, E> CacheEntry<Result<T, E>> {
    /// What is cached, fresh or stale; never loads. Where Redis cannot be asked, what memory has.
    pub async fn get(&self) -> Option<T> {
        self.plain.peek().await
    }

    /// Stores a value as if it had just been loaded, in all tiers, and lets other processes drop theirs. A load that
    /// began before can no longer store its result. An invalidation or a put of the key in another process at the same time may
    /// take effect before this one, or after it and then wins; once this future has ended, or was dropped, a later invalidation
    /// always wins.
    ///
    /// # Errors
    /// When the shared tier could not be told. Then nothing is stored, this process has forgotten the older value, and the
    /// others will: see [`Error::is_pending`]. Where the older value is gone everywhere and only storing this one has failed, the
    /// error is not pending, and the value may or may not be stored.
    pub async fn put(&self, value: T) -> Result<(), Error> {
        self.plain.store(value).await
    }
}

impl<R: Clone + Send + Sync + 'static> PlainEntry<R> {
    /// What is cached, fresh or stale; never loads. Where Redis cannot be asked, what memory has.
    pub async fn get(&self) -> Option<R> {
        self.peek().await
    }

    /// Stores a value as if it had just been loaded, in all tiers, and lets other processes drop theirs. A load that
    /// began before can no longer store its result. An invalidation or a put of the key in another process at the same time may
    /// take effect before this one, or after it and then wins; once this future has ended, or was dropped, a later invalidation
    /// always wins.
    ///
    /// # Errors
    /// When the shared tier could not be told. Then nothing is stored, this process has forgotten the older value, and the
    /// others will: see [`Error::is_pending`]. Where the older value is gone everywhere and only storing this one has failed, the
    /// error is not pending, and the value may or may not be stored.
    pub async fn put(&self, value: R) -> Result<(), Error> {
        self.store(value).await
    }
}

impl<R> PlainEntry<R> {
    /// Deletes the entry everywhere. A load that began before can no longer store its result, in any tier of any process.
    ///
    /// # Errors
    /// When the shared tier could not be told. This process has forgotten the entry all the same, and tells the others as
    /// soon as it can: see [`Error::is_pending`].
    pub async fn invalidate(&self) -> Result<(), Error> {
        self.cache.invalidate(&self.key, Invalidation::Delete).await
    }

    /// Marks the entry stale everywhere: the next hit returns it and starts a refresh.
    ///
    /// # Errors
    /// When the shared tier could not be told. In this process the entry is stale all the same, and the others are told as
    /// soon as it can be: see [`Error::is_pending`].
    pub async fn expire(&self) -> Result<(), Error> {
        self.cache.invalidate(&self.key, Invalidation::Expire).await
    }

    /// The readable key, as it stands in Redis behind the function's name: `user:7`. What is longer than 64 bytes is
    /// `#` and a hash.
    pub fn key(&self) -> &str {
        self.key.address().readable()
    }

    async fn peek<V: Clone + 'static>(&self) -> Option<V> {
        let entry: Arc<Entry> = self.cache.peek(&self.key, &self.plan).await?;
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
