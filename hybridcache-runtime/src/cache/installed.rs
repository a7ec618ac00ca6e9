//! The cache that annotated functions use by default.

use once_cell::sync::OnceCell;

use crate::cache::HybridCache;
use crate::error::Error;

static INSTALLED: OnceCell<HybridCache> = OnceCell::new();
static FALLBACK: OnceCell<HybridCache> = OnceCell::new();

impl HybridCache {
    /// Makes this the cache of every annotated function that names none. Once per process, before the first call:
    /// earlier calls have used another cache, in memory, and a warning says so.
    ///
    /// An installed cache stays for the lifetime of the process: a hit reads it as a static, and would otherwise have
    /// to count a reference or take a lock. [`reconnect`](Self::reconnect) gives it another URL without a restart, with
    /// new credentials or another host, and keeps the entries in memory; [`close`](Self::close) ends its use of Redis.
    /// A program that replaces whole caches names them itself: `cache = current()` in the attribute takes any
    /// expression, such as a function that returns the content of an `ArcSwap` or a lock.
    ///
    /// # Errors
    /// When a cache was installed already.
    pub fn install(&self) -> Result<(), Error> {
        let installed = INSTALLED.set(self.clone());
        installed.map_err(|_| {
            let problem = "a cache is installed already, and stays. `HybridCache::reconnect` gives it another URL";
            Error::config("install", problem)
        })?;
        if FALLBACK.get().is_some() {
            let what = "`install` comes after the first call of a cached function: until now such calls used a cache of their own in \
                        memory, and what that holds is lost to later calls. Install before the first call";
            self.events().warn(true, "installed_late", what, None);
        }
        Ok(())
    }
}

/// The installed cache. While there is none: one in memory.
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
/// When Redis did not acknowledge it: see [`Error::is_pending`].
pub async fn invalidate_tag(tag: &str) -> Result<(), Error> {
    installed().invalidate_tag(tag).await
}
