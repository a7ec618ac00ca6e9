//! A cached function without the attribute: the same fast path and the same engine, with a name that is made at run
//! time.

pub(crate) mod builder;
pub(crate) mod loading;

use std::any::TypeId;
use std::error::Error as StdError;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::cache::HybridCache;
use crate::cache::handle::CacheEntry;
use crate::cache::info::EntryInfo;
use crate::call::entry::entry;
use crate::call::settings::FullSettings;
use crate::call::shape::{ByClone, ByLoadError, CanTimeOut, ErrorMode, OrNoCache, PlainShape, ResultShape, Shape};
use crate::call::{Begin, begin};
use crate::entry::plan::Plan;
use crate::error::{Error, LoadError};
use crate::function::{Instance, Site};
use crate::key::{CacheKey, KeyBuf};

/// A cached function without the attribute: what `#[hybrid_cached(..)]` does for an `async fn`, for a name, a key type
/// and a value type.
///
/// It is made by [`HybridCache::cached`], cloned cheaply, and shared between tasks. Each call brings its own load, or
/// [`with_loader`](Self::with_loader) fixes one.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// use std::time::Duration;
/// use hybridcache::{Cached, HybridCache, LoadError};
///
/// #[derive(Clone)]
/// struct Db;
/// impl Db {
///     async fn fetch_user(&self, id: u64) -> Result<String, LoadError> {
///         Ok(format!("user {id}"))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = HybridCache::builder().build().await?;
/// let users: Cached<u64, String> = cache.cached("user").ttl(Duration::from_secs(3600)).build()?;
///
/// let user = users.get_or_load(&7, &Db, |db, id| async move { db.fetch_user(id).await }).await?;
/// assert_eq!(user, "user 7");
/// users.invalidate(&7).await?;
/// # Ok(()) }
/// ```
///
/// A hit clones the value and nothing else, and allocates nothing. A load runs in a task of its own, so it owns what it
/// uses: the context (`&Db` above) and the key are cloned when a load starts, and not before. `&()` is no context.
///
/// The name is in one namespace with the attribute's `name = ".."`: both share entries if name, version, key and value
/// type are the same.
pub struct Cached<K: ?Sized, V> {
    definition: Arc<Definition<K>>,
    value: PhantomData<fn() -> V>,
}

/// The tags of a key.
type Tags<K> = Box<dyn Fn(&K) -> Vec<String> + Send + Sync>;

struct Definition<K: ?Sized> {
    cache: HybridCache,
    site: &'static Site,
    /// What all calls have in common: a call adds its tags, and the type of its error.
    plan: Plan,
    tags: Option<Tags<K>>,
}

/// What a load owns of an argument: `Db` for `&Db`, `String` for `&str`.
type Own<T> = <T as ToOwned>::Owned;

impl<K, V> Cached<K, V>
where
    K: CacheKey + ToOwned<Owned: Send> + Sync + ?Sized,
    V: Clone + Send + Sync + 'static,
{
    /// The cached value, or that of `load`, which is stored if it is `Ok`.
    ///
    /// Callers of one key at the same time share one load, in this process and in the fleet. `load` gets its own copies
    /// of `context` and `key`; its future runs in a task of its own. To return a value without storing it, call
    /// [`no_cache()`](crate::no_cache) in the load, or let `E` be [`NoCache<V>`](struct@crate::NoCache).
    ///
    /// **Cancel safety:** a load that has begun goes on when this future is dropped, and its value is stored.
    ///
    /// # Errors
    /// The error of the load. The callers that have joined it get a [`LoadError::Failed`] around the same error;
    /// [`get_or_load_cloning`](Self::get_or_load_cloning) gives each caller the error itself. [`LoadError::TimedOut`]
    /// where there is a `timeout`.
    ///
    /// # Panics
    /// When the load panics, with its message.
    pub async fn get_or_load<C, L, F, E>(&self, key: &K, context: &C, load: L) -> Result<V, E>
    where
        C: ToOwned<Owned: Send> + Sync + ?Sized,
        L: FnOnce(Own<C>, Own<K>) -> F + Send,
        F: Future<Output = Result<V, E>> + Send + 'static,
        E: From<LoadError> + Into<Box<dyn StdError + Send + Sync>> + Send + 'static,
    {
        self.fallible::<ByLoadError, E, _>(key, None, || load(context.to_owned(), key.to_owned())).await
    }

    /// As [`get_or_load`](Self::get_or_load), for errors that can be cloned: each caller gets the error itself.
    ///
    /// # Errors
    /// The error of the load, or `E::from(LoadError::TimedOut)` where there is a `timeout`.
    ///
    /// # Panics
    /// When the load panics, with its message.
    pub async fn get_or_load_cloning<C, L, F, E>(&self, key: &K, context: &C, load: L) -> Result<V, E>
    where
        C: ToOwned<Owned: Send> + Sync + ?Sized,
        L: FnOnce(Own<C>, Own<K>) -> F + Send,
        F: Future<Output = Result<V, E>> + Send + 'static,
        E: From<LoadError> + Clone + Send + 'static,
    {
        self.fallible::<ByClone, E, _>(key, self.definition.plan.freshness.err_ttl, || {
            load(context.to_owned(), key.to_owned())
        })
        .await
    }

    /// The cached value, or that of `load`, which cannot fail. A `timeout` does not end this load, as there is no error
    /// to return.
    ///
    /// # Panics
    /// When the load panics, with its message.
    pub async fn get_or_insert_with<C, L, F>(&self, key: &K, context: &C, load: L) -> V
    where
        C: ToOwned<Owned: Send> + Sync + ?Sized,
        L: FnOnce(Own<C>, Own<K>) -> F + Send,
        F: Future<Output = V> + Send + 'static,
    {
        self.call::<PlainShape<V>, _>(key, None, None, || load(context.to_owned(), key.to_owned())).await
    }

    async fn fallible<M, E, F>(&self, key: &K, err_ttl: Option<u64>, load: impl FnOnce() -> F + Send) -> Result<V, E>
    where
        M: ErrorMode<V, E>,
        E: From<LoadError> + Send + 'static,
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        type Fallible<V, E, M> = ResultShape<V, E, OrNoCache<M>>;
        self.call::<Fallible<V, E, M>, _>(key, Some(Fallible::<V, E, M>::timed_out), err_ttl, load).await
    }

    /// The path of a call, as the attribute's expansion writes it.
    async fn call<S, F>(
        &self,
        key: &K,
        timed_out: Option<fn() -> S::Return>,
        err_ttl: Option<u64>,
        load: impl FnOnce() -> F + Send,
    ) -> S::Return
    where
        S: Shape<Value = V>,
        F: Future<Output = S::Return> + Send + 'static,
    {
        let begun = begin(&self.definition.cache, self.definition.instance(), &key_of(key), None::<S>);
        let slow = match begun {
            Begin::Hit(value) => return value,
            Begin::SlowPath(slow) => slow,
        };
        let mut settings = self.definition.settings(key, timed_out);
        settings.plan.freshness.err_ttl = err_ttl;
        match slow.join(settings).await {
            Ok(value) => value,
            Err(must_load) => must_load.load(load()).await,
        }
    }

    /// The handle of one entry, as `<function>_entry(..)` is for an annotated function.
    pub fn entry(&self, key: &K) -> CacheEntry<V> {
        let settings = self.definition.settings::<PlainShape<V>>(key, None);
        entry(&self.definition.cache, self.definition.instance(), key_of(key), settings)
    }

    /// The cached value, fresh or stale; `None` if there is none. Never loads: see
    /// [`CacheEntry::get`](crate::PlainEntry::get).
    pub async fn get(&self, key: &K) -> Option<V> {
        self.entry(key).get().await
    }

    /// Stores a value in all tiers; other processes drop their copies: see
    /// [`CacheEntry::put`](crate::PlainEntry::put), also for how long it waits and its cancel safety.
    ///
    /// # Errors
    /// When Redis did not acknowledge that the older value is gone.
    pub async fn put(&self, key: &K, value: V) -> Result<(), Error> {
        self.entry(key).put(value).await
    }

    /// What is known of the cached value; `None` if there is none. Never loads: see
    /// [`CacheEntry::info`](crate::PlainEntry::info).
    pub async fn info(&self, key: &K) -> Option<EntryInfo> {
        self.entry(key).info().await
    }

    /// Deletes the entry everywhere: see [`CacheEntry::invalidate`](crate::PlainEntry::invalidate), also for how long
    /// it waits and its cancel safety.
    ///
    /// # Errors
    /// When Redis did not acknowledge it; then it is sent again: see [`Error::is_pending`].
    pub async fn invalidate(&self, key: &K) -> Result<(), Error> {
        self.entry(key).invalidate().await
    }

    /// Marks the entry stale everywhere: see [`CacheEntry::expire`](crate::PlainEntry::expire), also for how long it
    /// waits and its cancel safety.
    ///
    /// # Errors
    /// When Redis did not acknowledge it; then it is sent again: see [`Error::is_pending`].
    pub async fn expire(&self, key: &K) -> Result<(), Error> {
        self.entry(key).expire().await
    }
}

impl<K: ?Sized> Definition<K> {
    fn instance(&self) -> Instance<'static> {
        Instance { site: self.site, receiver: None, generics: &[] }
    }

    fn settings<S: Shape>(&self, key: &K, timed_out: Option<fn() -> S::Return>) -> FullSettings<S> {
        let mut plan = self.plan.clone();
        plan.error_type = TypeId::of::<S::Error>();
        plan.timeout = plan.timeout.filter(|_| timed_out.is_some());
        let tags = self.tags.iter().flat_map(|tags| tags(key));
        plan.tags.extend(tags.map(|tag| {
            let mut text = KeyBuf::new();
            text.text(&tag);
            text
        }));
        FullSettings { plan, timed_out }
    }
}

#[inline]
fn key_of<K: CacheKey + ?Sized>(key: &K) -> KeyBuf {
    let mut text = KeyBuf::new();
    key.write_part(&mut text);
    text
}

impl<K: ?Sized, V> Clone for Cached<K, V> {
    fn clone(&self) -> Self {
        Self { definition: self.definition.clone(), value: self.value }
    }
}

impl<K: ?Sized, V> fmt::Debug for Cached<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Definition { site, plan, .. } = &*self.definition;
        f.debug_struct("Cached").field("name", &site.explicit_name()).field("plan", plan).finish_non_exhaustive()
    }
}
