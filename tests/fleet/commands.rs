//! What one call asks of Redis.

use std::time::Duration;

use hybridcache_test_support::{Direction, FaultProxy, Flow};

use crate::crossing::Commands;
use crate::database::Order;
use crate::envelope::{EXPIRES_AT, FRESH_UNTIL, with_time};
use crate::fleet::{Fleet, item};
use crate::waiting::{eventually, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hit_in_memory_asks_redis_nothing() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    shop.item(1).await.unwrap();
    let asked = Commands::during(&fleet.redis, async {
        for _ in 0..100 {
            assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0));
        }
    });
    assert_eq!(asked.await, Commands::none());
    assert_eq!(shop.cache.stats().hits_memory, 100);
}

/// What the first call of a process asks besides: the stamps of the namespace and the function, in the same round trip.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hit_in_redis_is_one_get() {
    let fleet = Fleet::start();
    let first = fleet.shop().await;
    for id in 1..=3 {
        first.item(id).await.unwrap();
    }
    let proxy = FaultProxy::start(fleet.redis.port());
    let second = fleet.shop_at(&proxy.url(), |builder| builder).await;
    proxy.take_round_trips();
    assert_eq!(second.item(1).await.unwrap(), item(1, 1, 0));
    assert_eq!(proxy.take_round_trips(), [["GETRANGE", "MGET"]]);
    let asked = Commands::during(&fleet.redis, async {
        assert_eq!(second.item(2).await.unwrap(), item(2, 1, 0));
    });
    assert_eq!(asked.await, Commands::only("getrange", 1));
    assert_eq!(second.item(3).await.unwrap(), item(3, 1, 0));
    assert_eq!(proxy.take_round_trips(), [["GETRANGE"], ["GETRANGE"]]);
    let stats = second.cache.stats();
    assert_eq!((stats.hits_redis, stats.loads, stats.misses), (3, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_miss_takes_three_round_trips() {
    let fleet = Fleet::start();
    let proxy = FaultProxy::start(fleet.redis.port());
    let shop = fleet.shop_at(&proxy.url(), |builder| builder.redis_budget(crate::fleet::GENEROUS)).await;
    shop.item(1).await.unwrap();
    proxy.take_round_trips();
    shop.item(2).await.unwrap();
    assert_eq!(proxy.take_round_trips(), [vec!["GETRANGE"], vec!["SET", "GETRANGE"], vec!["EVALSHA"]]);
    let stats = shop.cache.stats();
    assert_eq!((stats.misses, stats.loads, stats.redis_errors), (2, 2, 0));
}

/// What a miss costs where it was expected: the lease is taken in front of the reading.
const EXPECTED_MISS: [&[&str]; 2] = [&["SET", "GETRANGE"], &["EVALSHA"]];

/// Killed by: no prediction of misses; one that ignores the function's own reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_miss_after_misses_takes_two_round_trips() {
    let fleet = Fleet::start();
    let proxy = FaultProxy::start(fleet.redis.port());
    let shop = fleet.shop_at(&proxy.url(), |builder| builder.redis_budget(crate::fleet::GENEROUS)).await;
    for id in 1..=4 {
        shop.item(id).await.unwrap();
    }
    for id in 5..=8 {
        proxy.take_round_trips();
        assert_eq!(shop.item(id).await.unwrap(), item(id, 1, 0));
        assert_eq!(proxy.take_round_trips(), EXPECTED_MISS);
    }
    assert_eq!(fleet.in_redis(8).await, Some(item(8, 1, 0)));
    let stats = shop.cache.stats();
    assert_eq!((stats.misses, stats.loads, stats.redis_errors, stats.degraded_loads), (8, 8, 0, 0));
    fleet.leaves_no_trace().await;
}

/// Killed by: not noting what was deleted; noting it for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_miss_after_the_keys_invalidation_takes_two_round_trips() {
    let fleet = Fleet::start();
    let proxy = FaultProxy::start(fleet.redis.port());
    let shop = fleet.shop_at(&proxy.url(), |builder| builder.redis_budget(crate::fleet::GENEROUS)).await;
    shop.item(1).await.unwrap();
    shop.item_entry(1).invalidate().await.unwrap();
    proxy.take_round_trips();
    assert_eq!(shop.item(1).await.unwrap(), item(1, 2, 0));
    assert_eq!(proxy.take_round_trips(), EXPECTED_MISS);
    shop.item(2).await.unwrap();
    assert_eq!(proxy.take_round_trips(), [vec!["GETRANGE"], vec!["SET", "GETRANGE"], vec!["EVALSHA"]]);
}

/// Killed by: a load of what was found; a lease that is kept beside an entry; a prediction that a hit leaves as it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hit_where_a_miss_was_expected_is_a_hit_in_one_round_trip() {
    let fleet = Fleet::start();
    let first = fleet.shop().await;
    let proxy = FaultProxy::start(fleet.redis.port());
    let shop = fleet.shop_at(&proxy.url(), |builder| builder.redis_budget(crate::fleet::GENEROUS)).await;
    for id in 1..=4 {
        shop.item(id).await.unwrap();
    }
    first.item(5).await.unwrap();
    first.item(6).await.unwrap();
    proxy.take_round_trips();
    assert_eq!(shop.item(5).await.unwrap(), item(5, 1, 0));
    assert_eq!(proxy.take_round_trips()[0], ["SET", "GETRANGE"]);
    eventually("the lease is given back", async || fleet.redis.keys("*:l").is_empty()).await;
    proxy.take_round_trips();
    assert_eq!(shop.item(6).await.unwrap(), item(6, 1, 0));
    assert_eq!(proxy.take_round_trips(), [["GETRANGE"]]);
    assert_eq!((fleet.database.loads(5).await, shop.cache.stats().hits_redis), (1, 2));
    fleet.leaves_no_trace().await;
}

/// The lease that is asked for with the reading is one like any other. Killed by: registering for the wake-up behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_expected_a_miss_waits_for_another_process() {
    let fleet = Fleet::start();
    let (first, shop) = (fleet.shop().await, fleet.shop().await);
    for id in 1..=4 {
        shop.item(id).await.unwrap();
    }
    fleet.database.order(5, &[Order::Hold]).await;
    let holder = tokio::spawn(async move { first.item(5).await.unwrap() });
    fleet.database.begun(5, 1).await;
    let waiting = tokio::spawn(async move { shop.item(5).await.unwrap() });
    fleet.waiting(1).await;
    fleet.database.release(5, 1).await;
    assert_eq!(within("the holder", holder).await.unwrap(), item(5, 1, 0));
    assert_eq!(within("who waits", waiting).await.unwrap(), item(5, 1, 0));
    assert_eq!(fleet.database.loads(5).await, 1);
    fleet.leaves_no_trace().await;
}

/// A tag per entry is the usual case, so most cold misses meet a tag that nobody has seen. Killed by: creating it before the lease
/// is asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_miss_with_a_new_tag_takes_three_round_trips() {
    let fleet = Fleet::start();
    let proxy = FaultProxy::start(fleet.redis.port());
    let shop = fleet.shop_at(&proxy.url(), |builder| builder.redis_budget(crate::fleet::GENEROUS)).await;
    shop.offer(1, 1).await.unwrap();
    proxy.take_round_trips();
    // Commands that are sent without waiting for an answer are far closer together.
    proxy.set(Direction::ToClient, Flow::Delay(Duration::from_millis(250)));
    shop.offer(2, 2).await.unwrap();
    let trips = proxy.take_round_trips();
    assert!(trips.len() <= 3, "{trips:?}");
}

/// Killed by: a flight that nobody can join.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_on_a_cold_key_are_one_load_and_one_miss() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    shop.item(1).await.unwrap();
    let of_one = Commands::during(&fleet.redis, async {
        shop.item(2).await.unwrap();
    });
    let of_one = of_one.await;
    fleet.database.order(3, &[Order::Hold]).await;
    let of_thousand = Commands::during(&fleet.redis, async {
        let callers: Vec<_> = (0..1000)
            .map(|_| {
                let shop = shop.clone();
                tokio::spawn(async move { shop.item(3).await.unwrap() })
            })
            .collect();
        eventually("all others join", async || shop.cache.stats().joined == 999).await;
        fleet.database.release(3, 1).await;
        for caller in callers {
            assert_eq!(within("a joiner returns", caller).await.unwrap(), item(3, 1, 0));
        }
    });
    let of_thousand = of_thousand.await;
    assert_eq!(fleet.database.loads(3).await, 1);
    for command in ["getrange", "set", "mget", "rename", "del", "unlink"] {
        assert_eq!(of_thousand.of(command), of_one.of(command), "{command}");
    }
    // A busy machine may let the load live long enough for its lease to be renewed.
    let renewals = of_thousand.renewals();
    assert_eq!(of_thousand.of("get") - renewals, of_one.of("get"));
    assert_eq!(of_thousand.of("evalsha") - renewals, of_one.of("evalsha"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_stored_another_reads() {
    let fleet = Fleet::start();
    let first = fleet.shop().await;
    first.item(1).await.unwrap();
    first.item_entry(2).put(item(2, 0, 7)).await.unwrap();
    let second = fleet.shop().await;
    assert_eq!(second.item(1).await.unwrap(), item(1, 1, 0));
    assert_eq!(second.item(2).await.unwrap(), item(2, 0, 7));
    assert_eq!(second.item_entry(1).get().await, Some(item(1, 1, 0)));
    assert_eq!((fleet.database.loads(1).await, fleet.database.loads(2).await), (1, 0));
    let other_namespace = fleet.shop_with(|builder| builder.namespace("another")).await;
    assert_eq!(other_namespace.item(1).await.unwrap(), item(1, 2, 0));
    assert_eq!(other_namespace.item_entry(2).get().await, None);
}

/// Killed by: an entry from Redis that gets the function's whole `ttl` in memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_gets_the_time_that_remains_in_redis() {
    let fleet = Fleet::start();
    fleet.shop().await.item(1).await.unwrap();
    let end = fleet.now() + 3_000;
    let envelope = with_time(&with_time(&fleet.entry("item", 1), FRESH_UNTIL, end), EXPIRES_AT, end);
    fleet.set_entry("item", 1, &envelope);
    let shop = fleet.shop().await;
    assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0));
    assert_eq!(shop.cache.stats().hits_redis, 1);
    // The clocks of process and server may differ by a little.
    eventually("its end comes", async || fleet.now() > end + 50).await;
    assert_eq!(shop.item(1).await.unwrap(), item(1, 2, 0));
}

/// Killed by: an entry from Redis that is fresh in memory for the whole `fresh_for`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_gets_the_freshness_that_remains_in_redis() {
    let fleet = Fleet::start();
    fleet.shop().await.item(1).await.unwrap();
    let end = fleet.now() + 3_000;
    fleet.set_entry("item", 1, &with_time(&fleet.entry("item", 1), FRESH_UNTIL, end));
    let shop = fleet.shop().await;
    assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0));
    assert_eq!(shop.cache.stats().stale_hits, 0);
    eventually("it goes stale", async || fleet.now() > end + 50).await;
    assert_eq!(shop.item(1).await.unwrap().load, 1);
    assert_eq!(shop.cache.stats().stale_hits, 1);
    eventually("it is refreshed", async || shop.item(1).await.unwrap().load == 2).await;
}

/// An entry beyond its end may still be there: a replica, or a clock that was set. Killed by: leaving ends to Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_beyond_its_end_is_a_miss() {
    let fleet = Fleet::start();
    fleet.shop().await.item(1).await.unwrap();
    let end = fleet.now() - 1_000;
    let mut envelope = fleet.entry("item", 1);
    for at in [crate::envelope::LOADED_AT, FRESH_UNTIL, EXPIRES_AT] {
        envelope = with_time(&envelope, at, end);
    }
    fleet.set_entry("item", 1, &envelope);
    let shop = fleet.shop().await;
    assert_eq!(shop.item_entry(1).get().await, None);
    assert_eq!(shop.item(1).await.unwrap(), item(1, 2, 0));
    assert_eq!(fleet.in_redis(1).await, Some(item(1, 2, 0)));
}
