//! Commands of a put that a network holds back, and that arrive when something else has been acknowledged since.

use std::sync::Arc;

use hybridcache::Error;
use hybridcache_test_support::{Direction, FaultProxy, Flow, Reply, Stranded};
use tokio::task::JoinHandle;

use crate::fleet::{Fleet, item};
use crate::recovery::{is_closed, is_connected, shop_behind};
use crate::shop::Shop;
use crate::waiting::{eventually, within};

/// The version that the put carries: nothing in the database has it.
const PUT: u64 = 9;

/// Whether a command of a connection is about an item, or about its stage.
pub(crate) fn is_about_an_item(words: &[&[u8]]) -> bool {
    let names = words.iter().any(|word| word.windows(6).any(|part| part == b":item@"));
    names && [b"EVALSHA".as_slice(), b"EVAL", b"SET"].contains(&words[0])
}

fn put(shop: &Shop) -> JoinHandle<Result<(), Error>> {
    let entry = shop.item_entry(1);
    tokio::spawn(async move { entry.put(item(1, 0, PUT)).await })
}

/// A put, and an invalidation that is acknowledged on the connection that follows.
struct Scene {
    fleet: Fleet,
    network: Arc<FaultProxy>,
    shop: Shop,
}

impl Scene {
    async fn start() -> Self {
        let fleet = Fleet::start();
        let (network, shop) = shop_behind(&fleet).await;
        within("a call", shop.item(1)).await.unwrap();
        within("a put", shop.item_entry(1).put(item(1, 0, 8))).await.unwrap();
        Self { fleet, network: network.into(), shop }
    }

    /// Breaks the connection, connects again, and invalidates. What was held is still on its way.
    async fn invalidate_on_another_connection(&self, putting: JoinHandle<Result<(), Error>>) -> (Stranded, Error) {
        let late = self.network.strand();
        self.network.restore();
        let error = within("the put", putting).await.unwrap().unwrap_err();
        is_connected(&self.shop).await;
        is_closed(&self.shop).await;
        within("the invalidation", self.shop.item_entry(1).invalidate()).await.unwrap();
        (late, error)
    }

    /// Delivers the commands of the put alone, and waits until they have run.
    async fn deliver(&self, late: &mut Stranded, count: usize) {
        let scripts = || self.fleet.redis.command_calls("evalsha") + self.fleet.redis.command_calls("eval");
        let before = scripts();
        assert_eq!(late.arrive(is_about_an_item), count);
        eventually("they have run", async || scripts() > before).await;
    }

    async fn nobody_gets_what_was_put(&self) {
        for shop in [&self.shop, &self.fleet.shop().await] {
            assert_ne!(shop.item_entry(1).get().await.map(|item| item.version), Some(PUT));
            let found = within("a call", shop.item(1)).await.unwrap();
            assert_eq!(found.version, 0, "what the database has");
        }
    }
}

/// The first step arrives late. Killed by: a first step that stores the value.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_whose_first_step_is_late_brings_nothing_back() {
    let scene = Scene::start().await;
    scene.network.set(Direction::ToServer, Flow::Hold);
    let putting = put(&scene.shop);
    eventually("it is under way", async || scene.network.under_way(is_about_an_item) > 0).await;
    let count = scene.network.under_way(is_about_an_item);
    let (mut late, error) = scene.invalidate_on_another_connection(putting).await;
    assert!(error.is_pending(), "{error}");
    scene.deliver(&mut late, count).await;
    scene.nobody_gets_what_was_put().await;
}

/// The first step is answered, the second arrives late. Killed by: a second step that no lease fences, or that a lease fences
/// which the invalidation leaves; a note that stays pending until the value is stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_whose_second_step_is_late_brings_nothing_back() {
    let scene = Scene::start().await;
    let putting = loop {
        let putting = put_up_to_the_second_step(&scene).await;
        // A busy machine may not answer the first step in time, and the put ends.
        match putting {
            Some(putting) => break putting,
            None => is_closed(&scene.shop).await,
        }
    };
    let count = scene.network.under_way(is_about_an_item);
    assert_eq!(count, 1, "the step has the value");
    let (mut late, error) = scene.invalidate_on_another_connection(putting).await;
    assert!(!error.is_pending() && !error.is_config(), "the older value is gone: {error}");
    scene.deliver(&mut late, count).await;
    assert!(!scene.fleet.has_entry("item", 1));
    scene.nobody_gets_what_was_put().await;
}

/// The first step has run, and what the second sends is held.
async fn put_up_to_the_second_step(scene: &Scene) -> Option<JoinHandle<Result<(), Error>>> {
    let Scene { fleet, network, shop } = scene;
    network.set(Direction::ToClient, Flow::Hold);
    let putting = put(shop);
    eventually("the first step has run", async || !fleet.redis.keys("*:l").is_empty() || putting.is_finished()).await;
    network.set(Direction::ToServer, Flow::Hold);
    network.set(Direction::ToClient, Flow::Pass);
    eventually("the second is sent", async || network.under_way(is_about_an_item) == 1 || putting.is_finished()).await;
    if putting.is_finished() {
        network.restore();
        return None;
    }
    Some(putting)
}

/// Nobody will publish under the lease that a late first step takes: a call waits for its end at most, as for that of a process
/// that has died. Killed by: a lease of a put that does not end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_first_step_holds_calls_up_for_one_lease() {
    let scene = Scene::start().await;
    scene.network.set(Direction::ToServer, Flow::Hold);
    let putting = put(&scene.shop);
    eventually("it is under way", async || scene.network.under_way(is_about_an_item) > 0).await;
    let (mut late, _) = scene.invalidate_on_another_connection(putting).await;
    scene.deliver(&mut late, 1).await;
    let [lease] = scene.fleet.redis.keys("*:l").try_into().unwrap();
    let left = scene.fleet.redis.command(&[b"PTTL", lease.as_bytes()]);
    assert!(matches!(left, Reply::Integer(1..=3000)), "{left:?}");
    assert_eq!(within("a call", scene.shop.item(1)).await.unwrap(), item(1, 2, 0));
    let stats = scene.shop.cache.stats();
    assert_eq!(stats.degraded_loads, 0, "it had the lease");
}

/// The steps of a put that are given up with the connection in order are followed by a release. Killed by: a lease of a put that
/// no guard owns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_that_is_given_up_leaves_no_lease() {
    let scene = Scene::start().await;
    scene.network.set(Direction::ToServer, Flow::Hold);
    let putting = put(&scene.shop);
    eventually("it is under way", async || scene.network.under_way(is_about_an_item) > 0).await;
    putting.abort();
    let _ = putting.await;
    scene.network.restore();
    is_closed(&scene.shop).await;
    scene.fleet.leaves_no_trace().await;
    scene.nobody_gets_what_was_put().await;
}
