//! The setups that every rule holds in: both modes, in memory alone and over Redis.

use std::fmt;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use hybridcache::HybridCache;
use hybridcache::http::Builder;
use hybridcache_test_support::RedisServer;

use crate::site::{Calls, GENEROUS, Site, configured, field, origin_headers, reply};

/// One of them.
pub struct Setup {
    pub is_configured: bool,
    redis: Option<RedisServer>,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = if self.is_configured { "configured" } else { "origin headers" };
        write!(f, "{mode}, {}", if self.redis.is_some() { "over Redis" } else { "in memory" })
    }
}

impl Setup {
    pub fn all() -> Vec<Self> {
        let modes = [(true, false), (true, true), (false, false), (false, true)];
        let setup = |(is_configured, over_redis): (bool, bool)| Self {
            is_configured,
            redis: over_redis.then(RedisServer::start),
        };
        modes.into_iter().map(setup).collect()
    }

    /// A server of this setup: for ten minutes fresh where that is configured.
    pub async fn site<F, Fut, R>(&self, configure: impl FnOnce(Builder) -> Builder, handler: F) -> Site
    where
        F: Fn(Request, usize) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoResponse,
    {
        let builder = HybridCache::builder().namespace("site");
        let builder = match &self.redis {
            Some(redis) => builder.redis(redis.url()).redis_budget(GENEROUS),
            None => builder,
        };
        let mode = if self.is_configured { configured } else { origin_headers };
        let cache = builder.build().await.unwrap();
        Site::with(cache, Calls::default(), |builder| configure(mode(builder)), handler).await
    }

    /// Empties Redis.
    pub fn forget(&self) {
        if let Some(redis) = &self.redis {
            redis.command(&[b"FLUSHALL"]);
        }
    }

    /// How many entries Redis has.
    pub fn entries(&self) -> usize {
        self.redis.as_ref().map_or(0, |redis| redis.keys("hc2:*:e").len())
    }

    /// Whether a text is in any entry of Redis.
    pub fn has_in_redis(&self, text: &str) -> bool {
        let Some(redis) = &self.redis else { return false };
        redis.keys("hc2:*:e").iter().any(|key| match redis.command(&[b"GET", key.as_bytes()]) {
            hybridcache_test_support::Reply::Bulk(bytes) => {
                bytes.windows(text.len()).any(|part| part == text.as_bytes())
            }
            _ => false,
        })
    }
}

/// What a request brings about that says so; else a page that is soon stale.
pub fn bad_or_page(request: &Request, nth: usize) -> Response {
    match field(request, "bad").parse() {
        Ok(status) => reply(status, &[("cache-control", "max-age=60")], format!("bad {nth}")),
        Err(_) => {
            let control = "max-age=1, stale-while-revalidate=600";
            reply(200, &[("cache-control", control)], format!("page {nth}")).into_response()
        }
    }
}
