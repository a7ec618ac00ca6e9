//! How a test sees that a cache is cut off from its Redis, or back.

use hybridcache::BreakerState;
use hybridcache_test_support::{FaultProxy, Reply};

use crate::fleet::{Fleet, GENEROUS};
use crate::shop::Shop;
use crate::waiting::eventually;
pub(crate) use crate::worker::is_connected;

pub(crate) fn is_open(shop: &Shop) -> bool {
    shop.cache.stats().breaker == BreakerState::Open
}

/// Waits, without calling anything, until Redis is in use and knows all that was invalidated.
pub(crate) async fn is_closed(shop: &Shop) {
    eventually("the breaker closes", async || {
        let stats = shop.cache.stats();
        stats.breaker == BreakerState::Closed && stats.pending_invalidations == 0
    })
    .await;
}

/// As [`Fleet::shop`], and connected: on a busy machine the cache may be built before it is.
pub(crate) async fn connected_shop(fleet: &Fleet) -> Shop {
    let shop = fleet.shop().await;
    is_connected(&shop).await;
    shop
}

/// What can come between a cache and the messages of others.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Gap {
    CommandsKilled,
    MessagesKilled,
    Cut,
    Restart,
}

pub(crate) const GAPS: [Gap; 4] = [Gap::CommandsKilled, Gap::MessagesKilled, Gap::Cut, Gap::Restart];

impl Gap {
    /// Happens, and is over when the one shop there is has connected again.
    pub(crate) async fn happen(self, fleet: &Fleet, network: &FaultProxy, shop: &Shop) {
        let before = subscribers(fleet);
        match self {
            Self::CommandsKilled => kill(fleet, "normal"),
            Self::MessagesKilled => kill(fleet, "pubsub"),
            Self::Cut => network.cut(),
            // The new server counts its clients from zero.
            Self::Restart => {
                fleet.redis.restart_with_data();
                return is_connected(shop).await;
            }
        }
        eventually("there are new connections", async || {
            let now = subscribers(fleet);
            !now.is_empty() && now.iter().all(|id| !before.contains(id))
        })
        .await;
        is_connected(shop).await;
    }
}

fn kill(fleet: &Fleet, kind: &str) {
    let killed = fleet.redis.command(&[b"CLIENT", b"KILL", b"TYPE", kind.as_bytes()]);
    assert!(matches!(killed, Reply::Integer(1..)), "{killed:?}");
}

/// The connections that listen to messages, by the server's numbers.
pub(crate) fn subscribers(fleet: &Fleet) -> Vec<String> {
    let list = fleet.redis.command(&[b"CLIENT", b"LIST", b"TYPE", b"pubsub"]).into_text().unwrap();
    let id = |line: &str| line.split(' ').find_map(|field| field.strip_prefix("id=")).unwrap().to_owned();
    list.lines().filter(|line| !line.is_empty()).map(id).collect()
}

/// A shop that reaches its Redis through a network that can fail.
pub(crate) async fn shop_behind(fleet: &Fleet) -> (FaultProxy, Shop) {
    let network = FaultProxy::start(fleet.redis.port());
    let shop = fleet.shop_at(&network.url(), |builder| builder.redis_budget(GENEROUS)).await;
    is_connected(&shop).await;
    (network, shop)
}

/// No connection, and no new one.
pub(crate) fn cut_off(network: &FaultProxy) {
    network.refuse();
    network.cut();
}
