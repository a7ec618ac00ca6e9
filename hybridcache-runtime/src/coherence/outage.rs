//! What becomes of values in memory while Redis cannot be reached.

/// What becomes of values in memory while Redis cannot be reached.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), hybridcache::Error> {
/// use hybridcache::{HybridCache, Outage};
///
/// let cache = HybridCache::builder().outage(Outage::Strict).build().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outage {
    /// They are served as ever: fresh until `fresh_for`, stale until `ttl`, each process refreshing for itself. What
    /// other processes invalidate meanwhile is not seen before the connection is back, or the value no longer fresh.
    #[default]
    Serve,
    /// They are served for at most three seconds without proof that no invalidation was missed, and then loaded again,
    /// each process for itself.
    Strict,
}
