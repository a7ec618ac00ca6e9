//! The breaker: when it opens, what is sent while it is open, and that it closes by itself.

use std::time::Duration;

use hybridcache_test_support::{Direction, FaultProxy, Flow};

use crate::crossing::Commands;
use crate::faults::Fault;
use crate::fleet::{Fleet, item};
use crate::invalidation::call;
use crate::recovery::{connected_shop, is_closed, is_connected, is_open};
use crate::shop::Shop;
use crate::waiting::{eventually, within};

/// A shop with the usual budget behind a network.
async fn shop(fleet: &Fleet) -> (FaultProxy, Shop) {
    let network = FaultProxy::start(fleet.redis.port());
    let shop = fleet.shop_at(&network.url(), |builder| builder).await;
    is_connected(&shop).await;
    shop.item(100).await.unwrap();
    (network, shop)
}

async fn opens(shop: &Shop) {
    for id in 1..=20 {
        assert_eq!(within("a cold call", shop.item(id)).await.unwrap(), item(id, 1, 0));
    }
    assert!(is_open(shop));
}

/// Killed by: a breaker that never opens; one that only callers close; loads that are not joined while it is open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_opens_after_a_few_calls_and_closes_by_itself() {
    for fault in [Fault::Killed, Fault::Stopped, Fault::Slow] {
        let fleet = Fleet::start();
        let (network, shop) = shop(&fleet).await;
        fault.begin(&fleet, &network);
        opens(&shop).await;
        let callers: Vec<_> = (0..100).map(|_| call(&shop, 30)).collect();
        for caller in callers {
            assert_eq!(within("a caller", caller).await.unwrap(), item(30, 1, 0), "{fault:?}");
        }
        assert_eq!(shop.item(100).await.unwrap(), item(100, 1, 0), "what memory has");
        let stats = shop.cache.stats();
        assert_eq!(stats.degraded_loads, 21, "{fault:?}");
        fault.end(&fleet, &network);
        // Nobody calls until then.
        is_closed(&shop).await;
        eventually("Redis is used", async || {
            shop.item_entry(40).invalidate().await.unwrap();
            shop.item(40).await.unwrap();
            fleet.has_entry("item", 40)
        })
        .await;
    }
}

/// Killed by: callers that ask an open breaker's tier; a breaker that counts only what runs into the budget at first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_is_open_calls_send_nothing() {
    let fleet = Fleet::start();
    let (network, shop) = shop(&fleet).await;
    network.set(Direction::ToClient, Flow::Delay(Duration::from_millis(200)));
    opens(&shop).await;
    let asked = Commands::during(&fleet.redis, async {
        for id in 200..=400 {
            assert_eq!(within("a cold call", shop.item(id)).await.unwrap(), item(id, 1, 0));
            assert_eq!(within("a look", shop.item_entry(id + 1000).get()).await, None);
        }
        // Which heartbeats ask for too, once in ten: see `recovery.rs` and `supervisor.rs`.
        let before = fleet.redis.command_calls("time");
        eventually("the background task tries", async || fleet.redis.command_calls("time") > before + 2).await;
    });
    let asked = asked.await;
    assert_eq!(asked, Commands::none(), "nothing but its own attempts");
    assert!(is_open(&shop));
    network.restore();
    is_closed(&shop).await;
}

/// Each call before it opens has sent one `GETRANGE`, and no call after. Killed by: a threshold of twenty.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_unanswered_commands_open_it() {
    let fleet = Fleet::start();
    let shop = fleet.hasty_shop().await;
    is_connected(&shop).await;
    let before = Commands::so_far(&fleet.redis).of("getrange");
    fleet.redis.stop();
    opens(&shop).await;
    for id in 200..=300 {
        within("a cold call", shop.item(id)).await.unwrap();
    }
    fleet.redis.resume();
    is_closed(&shop).await;
    let sent = Commands::so_far(&fleet.redis).of("getrange") - before;
    assert_eq!(sent, 5);
}

/// Redis answers, and at once: there is nothing to wait for. Killed by: refusals counted as failures.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_do_not_open_it() {
    for refusing in [["ACL", "SETUSER", "default", "-getrange"], ["ACL", "SETUSER", "default", "-evalsha"]] {
        let fleet = Fleet::start();
        let shop = connected_shop(&fleet).await;
        fleet.redis.command(&refusing.map(str::as_bytes));
        for id in 1..=30 {
            assert_eq!(shop.item(id).await.unwrap(), item(id, 1, 0));
        }
        let stats = shop.cache.stats();
        assert!(stats.redis_errors >= 30, "{stats:?}");
        assert_eq!(stats.breaker_opened, 0, "{refusing:?}");
    }
    let fleet = Fleet::start();
    let shop = connected_shop(&fleet).await;
    fleet.redis.config_set("maxmemory", "1");
    for id in 1..=30 {
        assert_eq!(shop.item(id).await.unwrap(), item(id, 1, 0));
    }
    assert_eq!(shop.cache.stats().breaker_opened, 0);
}

/// Each command is answered within the budget, and no call gets through with all that it needs: each pays, and loads
/// without a lease. Killed by: any single answer that counts as good health.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_opens_where_each_call_runs_out_of_its_budget() {
    let fleet = Fleet::start();
    let (network, shop) = shop(&fleet).await;
    network.set(Direction::ToClient, Flow::Delay(Duration::from_millis(30)));
    for id in 1..=40 {
        within("a cold call", shop.item(id)).await.unwrap();
    }
    let stats = shop.cache.stats();
    assert!(stats.breaker_opened > 0, "{stats:?}");
}

/// Whatever the answer is, it comes in time. Killed by: a probe that has to be allowed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_closes_where_the_probe_is_refused() {
    let fleet = Fleet::start();
    let (network, shop) = shop(&fleet).await;
    fleet.redis.command(&[b"ACL", b"SETUSER", b"default", b"-time"]);
    Fault::Slow.begin(&fleet, &network);
    opens(&shop).await;
    Fault::Slow.end(&fleet, &network);
    is_closed(&shop).await;
}

/// Without a single read. Killed by: a failed invalidation that does not open it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_invalidation_opens_it() {
    let fleet = Fleet::start();
    let shop = connected_shop(&fleet).await;
    let mut opened = 0;
    for _ in 0..2 {
        fleet.redis.kill();
        eventually("an invalidation fails", async || shop.item_entry(1).invalidate().await.is_err()).await;
        assert!(is_open(&shop));
        fleet.redis.restart();
        is_closed(&shop).await;
        let now = shop.cache.stats().breaker_opened;
        assert!(now > opened);
        opened = now;
    }
}

/// It is told in time by the way things go on: an outage within an outage. Killed by: a task that waits for one opening.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_opens_and_closes_again_and_again() {
    let fleet = Fleet::start();
    let (network, shop) = shop(&fleet).await;
    for round in 1..=4 {
        Fault::Slow.begin(&fleet, &network);
        let mut id = 1000 * round;
        eventually("it opens", async || {
            id += 1;
            within("a cold call", shop.item(id)).await.unwrap();
            is_open(&shop)
        })
        .await;
        Fault::Slow.end(&fleet, &network);
        is_closed(&shop).await;
    }
    assert!(shop.cache.stats().breaker_opened >= 4);
}

/// The task that closes it ends with the runtime on which the cache was built. Killed by: a task that nobody starts again.
#[test]
fn it_closes_on_another_runtime() {
    let fleet = Fleet::start();
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let first = runtime();
    let shop = first.block_on(connected_shop(&fleet));
    drop(first);
    runtime().block_on(async {
        fleet.redis.kill();
        opens(&shop).await;
        fleet.redis.restart();
        is_closed(&shop).await;
        is_connected(&shop).await;
        shop.item(40).await.unwrap();
        assert!(fleet.has_entry("item", 40));
    });
}

/// A load that began before holds a lease. Killed by: a publish that is sent all the same, and waits for its budget.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_ends_while_it_is_open_is_kept_in_memory() {
    let fleet = Fleet::start();
    let shop = connected_shop(&fleet).await;
    fleet.database.order(1, &[crate::database::Order::Hold]).await;
    let loading = call(&shop, 1);
    fleet.database.begun(1, 1).await;
    fleet.redis.command(&[b"ACL", b"SETUSER", b"default", b"-unlink"]);
    assert!(shop.item_entry(2).invalidate().await.unwrap_err().is_pending());
    fleet.database.release(1, 1).await;
    assert_eq!(within("the call", loading).await.unwrap(), item(1, 1, 0));
    assert!(is_open(&shop));
    assert!(!fleet.has_entry("item", 1));
    assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0), "memory has it");
    fleet.redis.command(&[b"ACL", b"SETUSER", b"default", b"+@all"]);
    is_closed(&shop).await;
    fleet.leaves_at_most_marks().await;
}
