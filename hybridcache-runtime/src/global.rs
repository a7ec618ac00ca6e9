//! The cache that annotated functions use by default.

use once_cell::sync::OnceCell;

use crate::cache::HybridCache;
use crate::error::Error;

static INSTALLED: OnceCell<HybridCache> = OnceCell::new();
static FALLBACK: OnceCell<HybridCache> = OnceCell::new();

impl HybridCache {
    /// Makes this the cache of every annotated function that names none. Once per process, best before the first call.
    ///
    /// # Errors
    /// When a cache was installed already.
    pub fn install(&self) -> Result<(), Error> {
        INSTALLED.set(self.clone()).map_err(|_| Error::config("install", "a cache is installed already, and stays"))
    }
}

/// The installed cache; while there is none, one in memory.
pub fn installed() -> &'static HybridCache {
    INSTALLED.get().unwrap_or_else(|| FALLBACK.get_or_init(HybridCache::fallback))
}

/// [`HybridCache::invalidate_tag`] on the installed cache.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), hybridcache::Error> {
/// hybridcache::invalidate_tag("org:9").await?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// When the shared tier could not be told: see [`Error::is_pending`].
pub async fn invalidate_tag(tag: &str) -> Result<(), Error> {
    installed().invalidate_tag(tag).await
}
