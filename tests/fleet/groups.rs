//! Invalidating many entries at once: by tag, by function, the whole namespace.

use hybridcache::Error;

use crate::database::{Item, Order};
use crate::fleet::{Fleet, item};
use crate::shop::Shop;
use crate::waiting::{eventually, within};

/// The ways to void offer 1 on shelf 1.
#[derive(Clone, Copy, Debug)]
enum Group {
    Tag,
    Function,
    Namespace,
}

const GROUPS: [Group; 3] = [Group::Tag, Group::Function, Group::Namespace];

impl Group {
    async fn invalidate(self, shop: &Shop) -> Result<(), Error> {
        match self {
            Self::Tag => shop.cache.invalidate_tag("shelf:1").await,
            Self::Function => shop.cache.invalidate_function("offer").await,
            Self::Namespace => shop.cache.clear().await,
        }
    }

    /// Whether it voids offer 3, which lies on shelf 2.
    fn is_wide(self) -> bool {
        !matches!(self, Self::Tag)
    }
}

async fn in_redis(fleet: &Fleet, shelf: u64, id: u64) -> Option<Item> {
    fleet.shop().await.offer_entry(shelf, id).get().await
}

/// Killed by: stamps that are not compared on reading; a `restamp` that sends no message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_void_in_both_tiers_and_in_all_processes() {
    for group in GROUPS {
        let fleet = Fleet::start();
        let (shop, other) = (fleet.shop().await, fleet.shop().await);
        for (shelf, id) in [(1, 1), (1, 2), (2, 3)] {
            for shop in [&shop, &other] {
                assert_eq!(shop.offer(shelf, id).await.unwrap(), item(id, 1, 0));
            }
        }
        shop.item(4).await.unwrap();
        group.invalidate(&shop).await.unwrap();
        for (shelf, id) in [(1, 1), (1, 2), (2, 3)] {
            let void = shelf == 1 || group.is_wide();
            let expected = item(id, if void { 2 } else { 1 }, 0);
            assert_eq!(in_redis(&fleet, shelf, id).await, (!void).then(|| item(id, 1, 0)), "{group:?}");
            assert_eq!(shop.offer(shelf, id).await.unwrap(), expected, "{group:?}");
            eventually("the other's memory follows", async || other.offer(shelf, id).await.unwrap() == expected).await;
            assert_eq!(in_redis(&fleet, shelf, id).await, Some(expected), "{group:?}");
        }
        let other_function = if matches!(group, Group::Namespace) { 2 } else { 1 };
        assert_eq!(shop.item(4).await.unwrap(), item(4, other_function, 0), "{group:?}");
    }
}

/// Starts and holds load 1 of offer 1, which sees version 0; from then on the version is 1.
async fn hold_outdated_load(fleet: &Fleet, shop: &Shop) -> tokio::task::JoinHandle<Item> {
    fleet.database.order(1, &[Order::Hold]).await;
    let shop = shop.clone();
    let outdated = tokio::spawn(async move { shop.offer(1, 1).await.unwrap() });
    fleet.database.begun(1, 1).await;
    fleet.database.set_version(1, 1).await;
    outdated
}

/// Killed by: an envelope with the stamps that stand when the load ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_began_before_is_hidden() {
    for group in GROUPS {
        for by_other in [false, true] {
            let fleet = Fleet::start();
            let (shop, other) = (fleet.shop().await, fleet.shop().await);
            other.offer(1, 2).await.unwrap();
            let outdated = hold_outdated_load(&fleet, &shop).await;
            group.invalidate(if by_other { &other } else { &shop }).await.unwrap();
            // Both processes learn the new stamps before the load ends.
            for shop in [&shop, &other] {
                eventually("it has heard", async || shop.offer(1, 2).await.unwrap().load == 2).await;
            }
            fleet.database.release(1, 1).await;
            assert_eq!(within("the outdated call", outdated).await.unwrap(), item(1, 1, 0));
            assert_eq!(in_redis(&fleet, 1, 1).await, None, "{group:?} by_other={by_other}");
            assert_eq!(other.offer(1, 1).await.unwrap(), item(1, 2, 1), "{group:?} by_other={by_other}");
            assert_eq!(shop.offer(1, 1).await.unwrap(), item(1, 2, 1), "{group:?} by_other={by_other}");
        }
    }
}

/// A call of the same process that begins after the invalidation, while the outdated load still holds the lease.
///
/// Killed by: the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_after_the_invalidation_does_not_get_the_load_that_began_before() {
    for group in GROUPS {
        let fleet = Fleet::start();
        let shop = fleet.shop().await;
        let outdated = hold_outdated_load(&fleet, &shop).await;
        group.invalidate(&shop).await.unwrap();
        let after = {
            let shop = shop.clone();
            tokio::spawn(async move { shop.offer(1, 1).await.unwrap() })
        };
        // It either loads at once or waits for the lease.
        eventually("the call has asked for the lease", async || {
            let leases = fleet.redis.keys("*:l");
            let waits = leases.iter().any(|lease| fleet.bytes(lease).len() > 16);
            waits || fleet.database.loads(1).await == 2
        })
        .await;
        fleet.database.release(1, 1).await;
        assert_eq!(within("the outdated call", outdated).await.unwrap(), item(1, 1, 0));
        assert_eq!(within("the call after", after).await.unwrap(), item(1, 2, 1), "{group:?}");
        assert_eq!(in_redis(&fleet, 1, 1).await, Some(item(1, 2, 1)), "{group:?}");
        assert_eq!(shop.offer(1, 1).await.unwrap(), item(1, 2, 1), "{group:?}");
    }
}

/// Through the process that calls nothing: it has no such function yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_never_called_can_invalidate() {
    for group in GROUPS {
        let fleet = Fleet::start();
        let process = fleet.process();
        assert_eq!(process.ask("offer 1 1").await, "1 1 0");
        group.invalidate(&fleet.shop().await).await.unwrap();
        eventually("the message arrives", async || process.ask("offer 1 1").await == "1 2 0").await;
    }
}
