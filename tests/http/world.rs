//! Both modes, in memory and over Redis: what holds in one of them has to hold in all.

use axum::Router;
use hybridcache::HybridCache;
use hybridcache::http::{Builder, HttpCacheLayer};
use hybridcache_test_support::RedisServer;

use crate::client::{Ask, Reply};
use crate::site::{GENEROUS, configured, origin_headers, serve};

pub type Configure = fn(Builder) -> Builder;

/// One of them.
pub struct World {
    pub layer: HttpCacheLayer,
    pub cache: HybridCache,
    pub configure: Configure,
    _redis: Option<RedisServer>,
}

impl World {
    pub async fn all() -> Vec<Self> {
        let mut worlds = Vec::new();
        for configure in [configured as Configure, origin_headers] {
            for redis in [None, Some(RedisServer::start())] {
                let builder = HybridCache::builder().redis_budget(GENEROUS);
                let builder = match &redis {
                    Some(redis) => builder.redis(redis.url()),
                    None => builder,
                };
                let cache = builder.build().await.unwrap();
                let layer = configure(HttpCacheLayer::builder(cache.clone())).build().unwrap();
                worlds.push(Self { layer, cache, configure, _redis: redis });
            }
        }
        worlds
    }

    /// Another layer over the same cache, under the same name.
    pub fn another_layer(&self) -> HttpCacheLayer {
        (self.configure)(HttpCacheLayer::builder(self.cache.clone())).build().unwrap()
    }
}

/// A router that listens.
pub struct Server(pub std::net::SocketAddr, pub tokio::task::JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.1.abort();
    }
}

impl Server {
    pub async fn new(router: Router) -> Self {
        let (address, server) = serve(router).await;
        Self(address, server)
    }

    pub async fn ask(&self, method: &str, path: &str) -> Reply {
        Ask::new(self.0, method.parse().unwrap(), path).send().await
    }

    pub async fn get(&self, path: &str) -> String {
        self.ask("GET", path).await.body
    }

    /// Asks for each path three times: each time it is its own answer, and from the second time on a stored one.
    pub async fn each_has_its_own(&self, paths: &[(&str, &str)]) {
        for nth in 0..3 {
            for (path, expected) in paths {
                let reply = self.ask("GET", path).await;
                assert_eq!(reply.body, *expected, "{path}, for the {nth}. time");
                assert!(nth == 0 || reply.is_hit(), "{path} is not stored: {}", reply.cache());
            }
        }
    }
}
