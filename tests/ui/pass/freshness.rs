//! The options of lifetimes, in each form, on each kind of function.

#![deny(warnings)]
#![allow(dead_code, reason = "that it compiles is what it shows")]

use std::time::Duration;

use hybridcache::{HybridCache, LoadError, NoCache, hybrid_cached, this_load};

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

#[hybrid_cached(
    ttl = 1h, fresh_for = 80%, refresh_ahead = auto, soft_timeout = 50ms, none_ttl = 0s, err_ttl = 1s, jitter = 10%,
    min_cost = 5ms, timeout = 20s, key = "{id}"
)]
async fn literals(id: u64) -> Result<Option<u64>, LoadError> {
    this_load().ttl(HOUR);
    Ok(this_load().previous().unwrap_or(Some(id)))
}

#[hybrid_cached(
    ttl = HOUR, fresh_for = HOUR, refresh_ahead = SECOND, soft_timeout = SECOND, none_ttl = SECOND, err_ttl = SECOND,
    jitter = SECOND, min_cost = SECOND, timeout = HOUR, key = "{id}"
)]
async fn constants(id: u64) -> Result<Option<u64>, LoadError> {
    Ok(Some(id))
}

#[hybrid_cached(
    ttl = by, fresh_for = by / 2, refresh_ahead = by / 8, soft_timeout = by, none_ttl = by, err_ttl = by, jitter = by / 9,
    min_cost = by, timeout = by, key = "{id}"
)]
async fn expressions(id: u64, by: Duration) -> Result<Option<u64>, LoadError> {
    Ok(Some(id))
}

#[hybrid_cached(ttl = 1h, refresh_ahead = xfetch, key = "{id}")]
async fn plain(id: u64) -> u64 {
    id
}

#[hybrid_cached(ttl = 1h, refresh_ahead = 20%, none_ttl = 1m, key = "{id}", name = "generic")]
async fn generic<T: Into<u64> + Copy + Send + std::fmt::Display + 'static>(id: T) -> Option<u64> {
    this_load().fresh_for(SECOND);
    Some(id.into())
}

#[hybrid_cached(ttl = 1h, err_ttl = 1s)]
async fn by_type(id: u64) -> Result<u64, NoCache<u64>> {
    Err(NoCache(id))
}

#[derive(Clone)]
struct Shop {
    cache: HybridCache,
    lead: Duration,
}

impl Shop {
    const JITTER: Duration = Duration::from_secs(1);

    #[hybrid_cached(
        ttl = 1h, fresh_for = 50%, refresh_ahead = self.lead, jitter = Self::JITTER, key = "{id}", skip(self),
        cache = self.cache
    )]
    async fn method(&self, id: u64) -> u64 {
        id
    }
}

trait Prices {
    fn price(&self, id: u64) -> impl Future<Output = Option<u64>> + Send;
}

impl Prices for Shop {
    #[hybrid_cached(
        ttl = 1h, fresh_for = 1m, soft_timeout = self.lead, none_ttl = 1s, refresh_ahead = auto, key = "{id}", skip(self),
        entry = false, cache = self.cache
    )]
    async fn price(&self, id: u64) -> Option<u64> {
        Some(id)
    }
}

#[async_trait::async_trait]
trait Names {
    async fn name(&self, id: u64) -> Result<Option<String>, LoadError>;
}

#[async_trait::async_trait]
impl Names for Shop {
    #[hybrid_cached(
        ttl = 1h, fresh_for = 80%, soft_timeout = 10ms, err_ttl = self.lead, none_ttl = 1s, jitter = 5%,
        refresh_ahead = xfetch, min_cost = 1ms, key = "{id}", skip(self), entry = false, cache = self.cache
    )]
    async fn name(&self, id: u64) -> Result<Option<String>, LoadError> {
        this_load().no_cache();
        Ok(Some(id.to_string()))
    }
}
