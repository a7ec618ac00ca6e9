//! `Outage::Strict`: memory is trusted for three seconds without proof that messages arrive.

use std::time::{Duration, Instant};

use hybridcache::Outage;
use hybridcache_test_support::{Direction, FaultProxy, Flow};

use crate::crossing::Commands;
use crate::fleet::{Fleet, GENEROUS, item};
use crate::recovery::is_connected;
use crate::shop::Shop;
use crate::waiting::{eventually, within};

/// The promise, with some room for the clock's milliseconds.
pub(crate) const BOUND: Duration = Duration::from_millis(3_050);

pub(crate) async fn shop(fleet: &Fleet, outage: Outage) -> (FaultProxy, Shop) {
    let network = FaultProxy::start(fleet.redis.port());
    let shop = fleet.shop_at(&network.url(), |builder| builder.redis_budget(GENEROUS).outage(outage)).await;
    is_connected(&shop).await;
    (network, shop)
}

/// Killed by: trust without end under `Strict`; an end under `Serve`; a load by each call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_proof_memory_is_trusted_for_three_seconds() {
    for outage in [Outage::Serve, Outage::Strict] {
        let fleet = Fleet::start();
        let network = FaultProxy::start(fleet.redis.port());
        let budget = Duration::from_millis(400);
        let shop = fleet.shop_at(&network.url(), |builder| builder.redis_budget(budget).outage(outage)).await;
        is_connected(&shop).await;
        for id in [1, 2] {
            shop.item(id).await.unwrap();
            assert!(fleet.has_entry("item", id));
        }
        network.set(Direction::ToClient, Flow::Swallow);
        let began = Instant::now();
        // The last heartbeat that came back was sent at most a second before.
        while began.elapsed() < Duration::from_millis(1_500) {
            let found = shop.item(1).await.unwrap();
            assert!(found.load == 1 || began.elapsed() > Duration::from_millis(1_500), "{:?}", began.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        eventually("the three seconds pass", async || {
            within("a call", shop.item(1)).await.unwrap();
            began.elapsed() > BOUND
        })
        .await;
        let expected = if outage == Outage::Strict { 2 } else { 1 };
        for _ in 0..20 {
            assert_eq!(within("a call", shop.item(1)).await.unwrap(), item(1, expected, 0), "{outage:?}");
        }
        network.restore();
        is_connected(&shop).await;
        let asked = Commands::during(&fleet.redis, async {
            assert_eq!(shop.item(2).await.unwrap(), item(2, 1, 0));
        });
        let asked = asked.await;
        assert_eq!((asked.of("getrange"), shop.cache.stats().hits_redis), (1, 0), "{outage:?}");
        assert_eq!(fleet.database.loads(2).await, 1);
    }
}

/// Messages are lost, answers come. Killed by: an entry that is not trusted after it was compared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_answers_entries_are_compared_and_not_loaded() {
    let fleet = Fleet::start();
    let (network, shop) = shop(&fleet, Outage::Strict).await;
    shop.item(1).await.unwrap();
    network.set_for_subscribers(Direction::ToClient, Flow::Swallow);
    let began = Instant::now();
    let asked = Commands::during(&fleet.redis, async {
        eventually("it is compared", async || {
            for _ in 0..100 {
                assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0));
            }
            began.elapsed() > BOUND && shop.cache.stats().revalidated > 0
        })
        .await;
    });
    let asked = asked.await;
    assert!((1..=3).contains(&asked.of("getrange")), "{asked:?}");
    assert_eq!(shop.cache.stats().hits_redis, 0, "{asked:?}");
    assert_eq!(fleet.database.loads(1).await, 1);
}

/// Killed by: heartbeats that prove nothing; a proof for one entry only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_messages_arrive_a_hit_costs_nothing() {
    let fleet = Fleet::start();
    let (_network, shop) = shop(&fleet, Outage::Strict).await;
    for id in 1..=10 {
        shop.item(id).await.unwrap();
    }
    let beats = fleet.redis.command_calls("publish");
    let asked = Commands::during(&fleet.redis, async {
        eventually("five seconds pass", async || {
            for id in 1..=10 {
                shop.item(id).await.unwrap();
            }
            fleet.redis.command_calls("publish") >= beats + 5
        })
        .await;
    });
    assert_eq!(asked.await, Commands::none());
}
