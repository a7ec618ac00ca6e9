//! A handler's policy for its own answer.

use std::time::Duration;

/// In the extensions of a response: the handler's policy for it, which takes precedence over the layer's settings.
///
/// It decides about status, times and tags. It cannot permit sharing: an answer with `no-store`, `private`, `no-cache`, `Set-Cookie` or
/// `Vary: *` is not stored, nor is a status about one request, such as 400 or 429 ([`Builder::negative`](super::Builder::negative)).
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
    /// Stores the answer for this time, with any status; fresh for the whole time unless [`Self::fresh_for`] is less. Zero counts as 1 ms.
    pub fn store(ttl: Duration) -> Self {
        Self { ttl: Some(ttl), ..Self::default() }
    }

    /// Stores the answer, or not, as the layer is configured, with these tags.
    pub fn tagged<T: Into<String>>(tags: impl IntoIterator<Item = T>) -> Self {
        Self::default().tags(tags)
    }

    /// The answer is for its requester only.
    pub fn no_store() -> Self {
        Self { no_store: true, ..Self::default() }
    }

    /// The answer is stale after this time; more than the time to live counts as that.
    pub fn fresh_for(mut self, fresh_for: Duration) -> Self {
        self.fresh_for = Some(fresh_for);
        self
    }

    /// Adds tags, by which answers are invalidated together: with [`HttpCacheLayer::invalidate_tag`](super::HttpCacheLayer::invalidate_tag),
    /// or [`HybridCache::invalidate_tag`](crate::HybridCache::invalidate_tag), which is the same.
    pub fn tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }
}
