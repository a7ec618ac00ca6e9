//! How long values in memory are served while Redis cannot be reached.

/// How long values in memory are served while Redis cannot be reached.
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
    /// They are served as before: fresh until `fresh_for`, stale until `ttl`, and each process refreshes its own
    /// values. An invalidation by another process takes effect when the connection is back, or when the value is no
    /// longer fresh.
    #[default]
    Serve,
    /// They are served for at most three seconds without proof (a heartbeat of Redis) that no invalidation was missed.
    /// Then each process loads them again for itself.
    Strict,
}
