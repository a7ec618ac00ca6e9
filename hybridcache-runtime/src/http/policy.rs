//! What a handler says about its own answer.

use std::time::Duration;

/// In the extensions of a response: what a handler wants done with it, whatever the layer was configured to do.
///
/// It decides about status, times and tags. It does not make an answer public that says otherwise: `no-store`, `private`,
/// `no-cache`, `Set-Cookie` and `Vary: *` still win, and so does a status about one request, such as 400 or 429
/// ([`Builder::negative`](super::Builder::negative)).
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// use std::time::Duration;
/// use hybridcache::http::CachePolicy;
///
/// let mut response = http::Response::new("a product");
/// let policy = CachePolicy::store(Duration::from_secs(3600)).fresh_for(Duration::from_secs(60)).tags(["product:7"]);
/// response.extensions_mut().insert(policy);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CachePolicy {
    pub(super) no_store: bool,
    pub(super) ttl: Option<Duration>,
    pub(super) fresh_for: Option<Duration>,
    pub(super) tags: Vec<String>,
}

impl CachePolicy {
    /// To be stored for this long, whatever its status; fresh for as long unless [`Self::fresh_for`] says less.
    pub fn store(ttl: Duration) -> Self {
        Self { ttl: Some(ttl), ..Self::default() }
    }

    /// Stored or not as the layer was configured, with these tags.
    pub fn tagged<T: Into<String>>(tags: impl IntoIterator<Item = T>) -> Self {
        Self::default().tags(tags)
    }

    /// For its requester only.
    pub fn no_store() -> Self {
        Self { no_store: true, ..Self::default() }
    }

    /// Stale after this time.
    pub fn fresh_for(mut self, fresh_for: Duration) -> Self {
        self.fresh_for = Some(fresh_for);
        self
    }

    /// Groups that are invalidated together: with [`HttpCacheLayer::invalidate_tag`](super::HttpCacheLayer::invalidate_tag),
    /// or [`HybridCache::invalidate_tag`](crate::HybridCache::invalidate_tag), which is the same.
    pub fn tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }
}
