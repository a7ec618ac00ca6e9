//! Invalidating while Redis cannot be told: it acts in this process at once, says so, and happens. Nothing is read from
//! Redis before.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use hybridcache::Error;
use hybridcache_test_support::{Direction, FaultProxy, Flow, Reply};
use tokio::task::JoinHandle;

use crate::crossing::Commands;
use crate::endings::poll_once;
use crate::fleet::{Fleet, GENEROUS, item};
use crate::invalidation::{call, hold_outdated_load};
use crate::recovery::{Gap, connected_shop, cut_off, is_closed, is_connected, is_open, shop_behind};
use crate::shop::Shop;
use crate::waiting::{eventually, within};

/// All ways to invalidate offer 1 on shelf 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Invalidate,
    Expire,
    Put,
    Tag,
    Function,
    Namespace,
}

const WAYS: [Way; 6] = [Way::Invalidate, Way::Expire, Way::Put, Way::Tag, Way::Function, Way::Namespace];

impl Way {
    async fn go(self, shop: &Shop) -> Result<(), Error> {
        match self {
            Self::Invalidate => shop.offer_entry(1, 1).invalidate().await,
            Self::Expire => shop.offer_entry(1, 1).expire().await,
            Self::Put => shop.offer_entry(1, 1).put(item(1, 0, 9)).await,
            Self::Tag => shop.cache.invalidate_tag("shelf:1").await,
            Self::Function => shop.cache.invalidate_function("offer").await,
            Self::Namespace => shop.cache.clear().await,
        }
    }

    /// What the error's message says first.
    fn text(self) -> &'static str {
        match self {
            Self::Invalidate | Self::Expire => "invalidate ",
            Self::Put => "put ",
            Self::Tag => "invalidate tag `shelf:1`: ",
            Self::Function => "invalidate function `offer`: ",
            Self::Namespace => "clear the namespace: ",
        }
    }
}

/// Callers who never get the first version, in any tier, until told to stop.
struct Callers {
    over: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<u64>>,
}

impl Callers {
    fn start(way: Way, shop: &Shop) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let caller = |looks: bool| {
            let (shop, over) = (shop.clone(), over.clone());
            tokio::spawn(async move {
                let mut calls = 0;
                while !over.load(SeqCst) {
                    let found = match looks {
                        true => shop.offer_entry(1, 1).get().await,
                        false => Some(shop.offer(1, 1).await.unwrap()),
                    };
                    // What is expired is still there, and returned while it is refreshed.
                    let is_old = found.is_some_and(|found| found.version == 0);
                    assert!(!is_old || way == Way::Expire, "an old value came back after {way:?}");
                    calls += 1;
                    tokio::task::yield_now().await;
                }
                calls
            })
        };
        let tasks = [true, false, true, false].map(caller).into();
        Self { over, tasks }
    }

    async fn stop(self) {
        self.over.store(true, SeqCst);
        for task in self.tasks {
            assert!(within("a caller", task).await.unwrap() > 0);
        }
    }
}

/// Both hold version 0, and so does Redis, also after a restart.
async fn outdated(fleet: &Fleet, shop: &Shop, other: &Shop) {
    for shop in [shop, other] {
        is_connected(shop).await;
        assert_eq!(shop.offer(1, 1).await.unwrap().version, 0);
    }
    // A busy machine may have cost the first one its budget; then the second one has stored what it loaded.
    eventually("Redis has it", async || fleet.has_entry("offer", 1)).await;
    assert_eq!(fleet.redis.command(&[b"SAVE"]), Reply::Simple("OK".into()));
    fleet.database.set_version(1, 1).await;
}

fn says_pending(way: Way, shop: &Shop, told: Result<(), Error>) {
    let error = told.unwrap_err();
    assert!(error.is_pending() && !error.is_config(), "{way:?} {error:?}");
    assert!(error.is_unavailable() != error.is_timeout(), "{way:?} {error:?}");
    let text = error.to_string();
    assert!(text.starts_with(way.text()) && text.contains("pending"), "{text}");
    assert!(is_open(shop), "{way:?}");
    assert_eq!(shop.cache.stats().pending_invalidations, 1, "{way:?}");
}

/// What holds at once in the process that invalidated, although Redis knows nothing.
async fn is_forgotten_here(way: Way, shop: &Shop) {
    let first = within("a call", shop.offer(1, 1)).await.unwrap();
    if way == Way::Expire {
        assert_eq!(first.version, 0, "stale, and returned at once");
        eventually("it is refreshed", async || shop.offer(1, 1).await.unwrap().version == 1).await;
    } else {
        assert_eq!(first.version, 1, "{way:?}");
    }
}

/// What holds everywhere once Redis has been told.
async fn happened(way: Way, fleet: &Fleet, shop: &Shop, other: &Shop) {
    is_closed(shop).await;
    if way == Way::Expire {
        eventually("it is stale elsewhere, and refreshed", async || other.offer(1, 1).await.unwrap().version == 1)
            .await;
    } else {
        let stored = fleet.shop().await.offer_entry(1, 1).get().await;
        assert!(stored.is_none_or(|stored| stored.version == 1), "{way:?}");
        eventually("the other drops its copy", async || other.offer(1, 1).await.unwrap().version == 1).await;
    }
    eventually("it is new here, too", async || {
        let found = shop.offer(1, 1).await.unwrap();
        assert!(found.version == 1 || way == Way::Expire, "{way:?}");
        found.version == 1
    })
    .await;
}

/// Killed by: no journal; memory that is not cleared where Redis fails; a breaker that a failed invalidation does not open;
/// a breaker that closes before the journal is sent; a replay of entries only, or of groups only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_invalidated_while_redis_is_down_happens_when_it_is_back() {
    for way in WAYS {
        let fleet = Fleet::start();
        let (shop, other) = (connected_shop(&fleet).await, connected_shop(&fleet).await);
        outdated(&fleet, &shop, &other).await;
        fleet.redis.kill();
        eventually("the connection is lost", async || {
            let before = shop.cache.stats().redis_errors;
            shop.item_entry(7).get().await;
            shop.cache.stats().redis_errors > before
        })
        .await;
        let told = within("the invalidation", way.go(&shop)).await;
        says_pending(way, &shop, told);
        is_forgotten_here(way, &shop).await;
        let callers = Callers::start(way, &shop);
        fleet.redis.start_again();
        happened(way, &fleet, &shop, &other).await;
        callers.stop().await;
    }
}

/// Nobody knows whether it was done. Killed by: an invalidation without a timeout; no journal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_invalidated_while_redis_is_silent_happens_when_it_answers() {
    for way in WAYS {
        let fleet = Fleet::start();
        let (shop, other) = (fleet.hasty_shop().await, connected_shop(&fleet).await);
        outdated(&fleet, &shop, &other).await;
        fleet.redis.stop();
        let told = within("the invalidation", way.go(&shop)).await;
        assert!(told.as_ref().is_err_and(Error::is_timeout), "{told:?}");
        says_pending(way, &shop, told);
        is_forgotten_here(way, &shop).await;
        let callers = Callers::start(way, &shop);
        fleet.redis.resume();
        happened(way, &fleet, &shop, &other).await;
        callers.stop().await;
    }
}

/// Killed by: no note before the sending; a note whose dropping does not open the breaker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_whose_future_is_dropped_happens() {
    for way in WAYS {
        let fleet = Fleet::start();
        let network = FaultProxy::start(fleet.redis.port());
        let shop = fleet.shop_at(&network.url(), |builder| builder.redis_budget(GENEROUS)).await;
        let other = connected_shop(&fleet).await;
        outdated(&fleet, &shop, &other).await;
        // What is sent now is lost.
        network.set(Direction::ToServer, Flow::Swallow);
        assert!(poll_once(&mut pin!(way.go(&shop))).await.is_none());
        assert!(is_open(&shop), "{way:?}");
        assert_eq!(shop.cache.stats().pending_invalidations, 1);
        is_forgotten_here(way, &shop).await;
        let callers = Callers::start(way, &shop);
        network.restore();
        happened(way, &fleet, &shop, &other).await;
        callers.stop().await;
    }
}

/// Redis refuses at first, and the caller goes away before it can hear of it. What was read meanwhile is from before. Killed
/// by: forgetting in this process only at the beginning and where the caller stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_during_a_dropped_invalidation_is_not_kept() {
    for way in [Way::Invalidate, Way::Expire, Way::Tag] {
        let fleet = Fleet::start();
        let shop = connected_shop(&fleet).await;
        shop.offer(1, 1).await.unwrap();
        fleet.database.set_version(1, 1).await;
        fleet.redis.command(&[b"SCRIPT", b"FLUSH"]);
        fleet.redis.command(&[b"ACL", b"SETUSER", b"default", b"-unlink", b"-set"]);
        {
            let mut invalidating = pin!(way.go(&shop));
            // A busy machine may have the refusal here already.
            assert!(!matches!(poll_once(&mut invalidating).await, Some(Ok(()))));
            // Nothing is acknowledged yet: the old value is as good as the new one.
            within("a call", shop.offer(1, 1)).await.unwrap();
        }
        fleet.redis.command(&[b"ACL", b"SETUSER", b"default", b"+@all"]);
        is_closed(&shop).await;
        if way == Way::Expire {
            eventually("it is refreshed", async || shop.offer(1, 1).await.unwrap().version == 1).await;
        }
        assert_eq!(shop.offer(1, 1).await.unwrap().version, 1, "{way:?}");
    }
}

/// Redis is silent. Killed by: forgetting in this process only when Redis has been told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_cleared_before_redis_answers() {
    for way in [Way::Invalidate, Way::Tag, Way::Function, Way::Namespace] {
        let fleet = Fleet::start();
        let shop = connected_shop(&fleet).await;
        shop.offer(1, 1).await.unwrap();
        fleet.redis.stop();
        let mut invalidating = pin!(way.go(&shop));
        assert!(poll_once(&mut invalidating).await.is_none());
        assert_eq!(within("a look", shop.offer_entry(1, 1).get()).await, None, "{way:?}");
        fleet.redis.resume();
    }
}

/// No fence keeps it from being stored. Killed by: a flight that stays when its key is invalidated.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_without_a_lease_from_before_an_invalidation_is_not_kept() {
    let fleet = Fleet::start();
    let shop = connected_shop(&fleet).await;
    fleet.redis.kill();
    let outdated = hold_outdated_load(&fleet, &shop).await;
    assert!(shop.item_entry(1).invalidate().await.unwrap_err().is_pending());
    assert_eq!(within("a call after it", shop.item(1)).await.unwrap(), item(1, 2, 1));
    fleet.database.release(1, 1).await;
    assert_eq!(within("the outdated call", outdated).await.unwrap(), item(1, 1, 0));
    assert_eq!(shop.item(1).await.unwrap(), item(1, 2, 1));
}

/// A replica that takes over without having seen it. Killed by: forgetting what was acknowledged; reading before it is
/// repeated.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_invalidation_that_a_failover_undoes_is_repeated() {
    for way in WAYS {
        let fleet = Fleet::start();
        let (shop, other) = (connected_shop(&fleet).await, connected_shop(&fleet).await);
        outdated(&fleet, &shop, &other).await;
        way.go(&shop).await.unwrap();
        if way == Way::Expire {
            eventually("it is refreshed", async || shop.offer(1, 1).await.unwrap().version == 1).await;
        }
        assert_eq!(shop.cache.stats().pending_invalidations, 0);
        fleet.redis.kill();
        let callers = Callers::start(way, &shop);
        fleet.redis.start_again();
        eventually("the breaker has opened", async || shop.cache.stats().breaker_opened > 0).await;
        is_connected(&shop).await;
        is_closed(&shop).await;
        let in_redis = fleet.shop().await.offer_entry(1, 1).get().await;
        if way != Way::Expire {
            assert!(in_redis.as_ref().is_none_or(|found| found.version >= 1), "{way:?} {in_redis:?}");
        }
        eventually("the other's too", async || other.offer(1, 1).await.unwrap().version >= 1).await;
        eventually("and here", async || shop.offer(1, 1).await.unwrap().version >= 1).await;
        callers.stop().await;
    }
}

/// Redis would lose for nothing what was loaded since. Killed by: repeating all whenever the breaker closes; a first
/// connection, or an older gap, that counts as one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_not_repeated_without_a_gap() {
    for after_a_gap in [false, true] {
        let fleet = Fleet::start();
        let (network, shop) = shop_behind(&fleet).await;
        shop.item_entry(1).invalidate().await.unwrap();
        if after_a_gap {
            Gap::Cut.happen(&fleet, &network, &shop).await;
            is_closed(&shop).await;
        }
        shop.item(1).await.unwrap();
        let stored = fleet.entry("item", 1);
        // Dropped half-way: it is repeated, and nothing else.
        let entry = shop.item_entry(2);
        let opened = shop.cache.stats().breaker_opened;
        network.set(Direction::ToClient, Flow::Hold);
        assert!(poll_once(&mut pin!(entry.invalidate())).await.is_none());
        network.restore();
        assert!(shop.cache.stats().breaker_opened > opened);
        is_closed(&shop).await;
        assert!(fleet.has_entry("item", 1), "nobody has invalidated it again");
        assert_eq!(fleet.entry("item", 1), stored);
    }
}

/// The work of a cut does not grow with what was invalidated in the minute before. Killed by: repeating it to a server that has
/// acknowledged it and kept it; not repeating it to one that may have lost it, also where a cut comes before that was done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_repeated_only_to_a_server_that_may_have_lost_it() {
    let fleet = Fleet::start();
    let (network, shop) = shop_behind(&fleet).await;
    for id in 1..=INVALIDATED {
        shop.item_entry(id).invalidate().await.unwrap();
    }
    let repeated = Commands::during(&fleet.redis, async {
        Gap::Cut.happen(&fleet, &network, &shop).await;
        is_closed(&shop).await;
    })
    .await;
    assert_eq!(repeated.of("evalsha") + repeated.of("eval"), 0, "{repeated:?}");
    // The server counts from its start.
    Gap::Restart.happen(&fleet, &network, &shop).await;
    is_closed(&shop).await;
    let repeated = Commands::so_far(&fleet.redis);
    assert!(repeated.of("evalsha") + repeated.of("eval") >= INVALIDATED, "{repeated:?}");
}

/// More than are sent at a time.
const INVALIDATED: u64 = 300;

/// One for each key, however often. Killed by: a count that forgets what is renewed, or what is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pending_ones_are_counted_by_key() {
    let fleet = Fleet::start();
    let shop = connected_shop(&fleet).await;
    fleet.redis.kill();
    for round in 0..3 {
        for id in 1..=200 {
            let told = match round {
                0 => shop.item_entry(id).invalidate().await,
                1 => shop.item_entry(id).expire().await,
                _ => shop.item_entry(id).put(item(id, 0, 9)).await,
            };
            assert!(told.unwrap_err().is_pending());
        }
    }
    assert_eq!(shop.cache.stats().pending_invalidations, 200);
    assert!(shop.cache.invalidate_tag("shelf:1").await.unwrap_err().is_pending());
    assert_eq!(shop.cache.stats().pending_invalidations, 201);
    assert_eq!(shop.cache.stats().invalidations, 601);
    fleet.redis.restart();
    is_closed(&shop).await;
    assert_eq!(shop.cache.stats().breaker_opened, 1);
}

/// What is deleted and then expired is gone, not stale. Killed by: the last note about a key taking the place of all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pending_deletion_is_not_softened() {
    let fleet = Fleet::start();
    let (shop, other) = (connected_shop(&fleet).await, connected_shop(&fleet).await);
    outdated(&fleet, &shop, &other).await;
    fleet.redis.kill();
    assert!(Way::Invalidate.go(&shop).await.unwrap_err().is_pending());
    assert!(Way::Expire.go(&shop).await.unwrap_err().is_pending());
    fleet.redis.start_again();
    is_closed(&shop).await;
    assert!(!fleet.has_entry("offer", 1));
}

/// Redis answers that it does not want to. It reads, so the old value could come back. Killed by: an error that is taken
/// for the end of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_that_redis_refuses_is_pending_too() {
    let fleet = Fleet::start();
    let (shop, other) = (connected_shop(&fleet).await, connected_shop(&fleet).await);
    outdated(&fleet, &shop, &other).await;
    fleet.redis.command(&[b"ACL", b"SETUSER", b"default", b"-eval", b"-evalsha"]);
    let told = within("the invalidation", Way::Invalidate.go(&shop)).await;
    assert!(told.as_ref().is_err_and(Error::is_unavailable), "{told:?}");
    says_pending(Way::Invalidate, &shop, told);
    assert_eq!(fleet.bytes(&fleet.entry_key("offer", 1)).len(), fleet.entry("offer", 1).len(), "it is still there");
    let callers = Callers::start(Way::Invalidate, &shop);
    fleet.redis.command(&[b"ACL", b"SETUSER", b"default", b"+@all"]);
    happened(Way::Invalidate, &fleet, &shop, &other).await;
    callers.stop().await;
}

/// A put that failed has stored nothing. Killed by: a value that stays
/// in memory although the put failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_that_failed_stores_nothing() {
    let fleet = Fleet::start();
    let shop = connected_shop(&fleet).await;
    shop.item(1).await.unwrap();
    fleet.redis.kill();
    let error = shop.item_entry(1).put(item(1, 0, 9)).await.unwrap_err();
    assert!(error.is_pending(), "{error}");
    assert_eq!(shop.item(1).await.unwrap(), item(1, 2, 0));
}

/// Many at once, also more than are sent at a time. Killed by: sending the first ones only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_pending_ones_all_happen() {
    let fleet = Fleet::start();
    let network = FaultProxy::start(fleet.redis.port());
    let shop = fleet.shop_at(&network.url(), |builder| builder.redis_budget(GENEROUS)).await;
    for id in 1..=1000 {
        shop.item(id).await.unwrap();
    }
    cut_off(&network);
    let told: Vec<_> = (1..=1000)
        .map(|id| {
            let entry = shop.item_entry(id);
            tokio::spawn(async move { entry.invalidate().await })
        })
        .collect();
    for told in told {
        assert!(within("an invalidation", told).await.unwrap().unwrap_err().is_pending());
    }
    network.restore();
    is_closed(&shop).await;
    let asked = Commands::so_far(&fleet.redis);
    assert!(fleet.redis.keys("*:item@*:e").is_empty(), "{asked:?}");
}

/// While Redis is not told, callers do not wait for a put that is under way any longer than for Redis itself. Killed by: a
/// put whose flight everybody joins for as long as Redis is silent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_put_that_redis_does_not_answer() {
    let fleet = Fleet::start();
    let shop = fleet.hasty_shop().await;
    shop.item(1).await.unwrap();
    fleet.redis.stop();
    let entry = shop.item_entry(1);
    let mut putting = pin!(entry.put(item(1, 0, 9)));
    assert!(poll_once(&mut putting).await.is_none());
    // The put is not polled meanwhile, so it cannot end.
    let found = within("a call", call(&shop, 1)).await.unwrap();
    assert_eq!(found, item(1, 2, 0));
    fleet.redis.resume();
}

/// The caller asks for less than what is still to be done. Killed by: sending what the caller says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expiration_does_not_soften_a_deletion_that_is_pending() {
    let fleet = Fleet::start();
    let shop = connected_shop(&fleet).await;
    shop.item(1).await.unwrap();
    fleet.redis.command(&[b"ACL", b"SETUSER", b"default", b"-eval", b"-evalsha"]);
    assert!(shop.item_entry(1).invalidate().await.unwrap_err().is_pending());
    fleet.redis.command(&[b"ACL", b"SETUSER", b"default", b"+@all"]);
    shop.item_entry(1).expire().await.unwrap();
    assert!(!fleet.has_entry("item", 1));
}
