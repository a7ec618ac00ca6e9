//! A [`Cached`] with its loader.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::call::cached::{Cached, Own};
use crate::error::LoadError;
use crate::key::CacheKey;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A loader of values by their keys. [`Loading`] implements it, and a test can implement it for a replacement: a field
/// of the type `Arc<dyn Load<K, V, E>>` takes both.
pub trait Load<K: ?Sized, V, E>: Send + Sync {
    /// The value of a key.
    fn load<'a>(&'a self, key: &'a K) -> Boxed<'a, Result<V, E>>;
}

/// A [`Cached`] with its loader, made by [`Cached::with_loader`]: a field of a struct.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// use std::time::Duration;
/// use hybridcache::{HybridCache, LoadError, Loading};
///
/// struct Shop {
///     users: Loading<u64, String, LoadError>,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = HybridCache::builder().build().await?;
/// let users = cache.cached("user").ttl(Duration::from_secs(3600)).build()?;
/// let shop = Shop { users: users.with_loader(|id: u64| async move { Ok(format!("user {id}")) }) };
///
/// assert_eq!(shop.users.load(&7).await?, "user 7");
/// shop.users.cached().invalidate(&7).await?;
/// # Ok(()) }
/// ```
pub struct Loading<K: ToOwned + ?Sized, V, E> {
    cached: Cached<K, V>,
    load: Loader<K, V, E>,
}

type Loader<K, V, E> = Arc<dyn Fn(Own<K>) -> Boxed<'static, Result<V, E>> + Send + Sync>;

impl<K, V> Cached<K, V>
where
    K: CacheKey + ToOwned<Owned: Send> + Sync + ?Sized,
    V: Clone + Send + Sync + 'static,
{
    /// The same cached function, with a loader that each call uses. The loader owns what it needs: clone a pool of
    /// connections into it.
    pub fn with_loader<E, L, F>(&self, load: L) -> Loading<K, V, E>
    where
        L: Fn(Own<K>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        Loading { cached: self.clone(), load: Arc::new(move |key| Box::pin(load(key))) }
    }
}

impl<K, V, E> Loading<K, V, E>
where
    K: CacheKey + ToOwned<Owned: Send> + Sync + ?Sized,
    V: Clone + Send + Sync + 'static,
    E: From<LoadError> + Into<Box<dyn StdError + Send + Sync>> + Send + 'static,
{
    /// The cached value, or that of the loader: see [`Cached::get_or_load`].
    ///
    /// # Errors
    /// As [`Cached::get_or_load`].
    ///
    /// # Panics
    /// When the load panics, with its message.
    pub async fn load(&self, key: &K) -> Result<V, E> {
        self.cached.get_or_load(key, &(), |(), key| (self.load)(key)).await
    }
}

impl<K: ToOwned + ?Sized, V, E> Loading<K, V, E> {
    /// The cached function, for `put`, `invalidate` and the rest.
    pub fn cached(&self) -> &Cached<K, V> {
        &self.cached
    }
}

impl<K, V, E> Load<K, V, E> for Loading<K, V, E>
where
    K: CacheKey + ToOwned<Owned: Send> + Sync + ?Sized,
    V: Clone + Send + Sync + 'static,
    E: From<LoadError> + Into<Box<dyn StdError + Send + Sync>> + Send + 'static,
{
    fn load<'a>(&'a self, key: &'a K) -> Boxed<'a, Result<V, E>> {
        Box::pin(Loading::load(self, key))
    }
}

impl<K: ToOwned + ?Sized, V, E> Clone for Loading<K, V, E> {
    fn clone(&self) -> Self {
        Self { cached: self.cached.clone(), load: self.load.clone() }
    }
}

impl<K: ToOwned + ?Sized, V, E> fmt::Debug for Loading<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Loading").field(&self.cached).finish()
    }
}
