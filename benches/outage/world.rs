//! One round's server and its clients.

use hybridcache::{BreakerState, HybridCache};
use hybridcache_test_support::{FaultProxy, RedisServer};
use redis::Client;
use redis::aio::{ConnectionManager, MultiplexedConnection};

use crate::fault::Fault;

pub(crate) struct World {
    pub(crate) server: RedisServer,
    proxy: Option<FaultProxy>,
    pub(crate) cache: HybridCache,
    /// A control: without Redis.
    pub(crate) memory_only: HybridCache,
    /// Plain `redis`, both kinds of connection, as they are when nobody configures anything.
    pub(crate) manager: ConnectionManager,
    pub(crate) multiplexed: MultiplexedConnection,
}

impl World {
    pub(crate) async fn start(fault: Fault) -> Self {
        let server = RedisServer::start();
        let proxy = fault.needs_proxy().then(|| FaultProxy::start(server.port()));
        let url = proxy.as_ref().map_or_else(|| server.url(), FaultProxy::url);
        let client = Client::open(url.as_str()).unwrap();
        Self {
            cache: HybridCache::builder().namespace("outage").redis(url).build().await.unwrap(),
            memory_only: HybridCache::builder().build().await.unwrap(),
            manager: ConnectionManager::new(client.clone()).await.unwrap(),
            multiplexed: client.get_multiplexed_async_connection().await.unwrap(),
            server,
            proxy,
        }
    }

    pub(crate) fn proxy(&self) -> &FaultProxy {
        self.proxy.as_ref().expect("this fault needs one")
    }

    pub(crate) fn breaker_is_open(&self) -> bool {
        self.cache.stats().breaker == BreakerState::Open
    }
}
