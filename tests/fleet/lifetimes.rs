//! Everything that is written to Redis has a lifetime, and a stamp outlives what carries it.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::iter;
use hybridcache::{Memory, hybrid_cached};
use hybridcache_test_support::{RedisServer, Reply};

use crate::crossing::Commands;
use crate::fleet::{Fleet, item};
use crate::shop::Shop;
use crate::waiting::{eventually, within};

impl Shop {
    /// Has a tag of its own, as the id of a user or an order would be, and does not ask the database.
    #[hybrid_cached(
        name = "visitor", timeout = 1s, ttl = 1s, key = "{id}", tags = ["visitor:{id}"], skip(self), cache = self.cache,
    )]
    async fn visitor(&self, id: u64) -> Result<String, crate::shop::Failure> {
        let _ = self;
        Ok(format!("{id:0>100}"))
    }
}

/// What Redis gives a stamp for a value of `visitor` at most: its `ttl`, ten seconds, and what a put is given, which knows no
/// `timeout`: `lease_limit`.
const VISITOR: i64 = 72_000;

/// Calls it for each of these ids, some at once.
async fn call_all(shop: &Shop, ids: std::ops::Range<u64>) {
    let calls = iter(ids).map(|id| async move {
        assert_eq!(shop.visitor(id).await.unwrap(), format!("{id:0>100}"));
    });
    calls.buffer_unordered(64).collect::<Vec<()>>().await;
}

/// The milliseconds that are left to each key; -1 where it stays for ever.
fn lifetimes(redis: &RedisServer) -> Vec<(String, i64)> {
    let left = |key: &String| match redis.command(&[b"PTTL", key.as_bytes()]) {
        Reply::Integer(left) => left,
        other => panic!("PTTL {key}: {other:?}"),
    };
    let keys = redis.keys("*").into_iter().map(|key| (key.clone(), left(&key)));
    // -2: gone meanwhile.
    keys.filter(|(_, left)| *left != -2).collect()
}

/// Killed by: a stamp that is created, changed or found absent and has no lifetime.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stays_for_ever() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    call_all(&shop, 0..2000).await;
    for id in 0..20 {
        shop.cache.invalidate_tag(&format!("visitor:{id}")).await.unwrap();
        shop.cache.invalidate_tag(&format!("unused:{id}")).await.unwrap();
        shop.visitor_entry(1000 + id).put("new".to_owned()).await.unwrap();
        shop.visitor_entry(1100 + id).invalidate().await.unwrap();
        shop.visitor_entry(1200 + id).expire().await.unwrap();
    }
    shop.cache.invalidate_function("never called").await.unwrap();
    fleet.redis.command(&[b"DEL", fleet.redis.keys("*:f:visitor").remove(0).as_bytes()]);
    shop.visitor_entry(1).invalidate().await.unwrap();
    let lifetimes = lifetimes(&fleet.redis);
    assert!(lifetimes.len() > 1900, "{}", lifetimes.len());
    for (key, left) in lifetimes {
        assert!((0..=VISITOR).contains(&left), "{key}: {left}");
    }
    shop.cache.invalidate_function("visitor").await.unwrap();
    shop.cache.clear().await.unwrap();
    assert_eq!(fleet.redis.keys("*:f:*"), [""; 0]);
    assert_eq!(fleet.redis.keys("*}:n"), [""; 0]);
}

fn used_memory(redis: &RedisServer) -> u64 {
    redis.info("memory").lines().find_map(|line| line.strip_prefix("used_memory:")?.parse().ok()).unwrap()
}

/// Under each policy that evicts what has a lifetime, and under the one that evicts nothing. Killed by: stamps without a
/// lifetime: Redis stays full of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_was_filled_with_tags_is_used_again() {
    for policy in ["volatile-lru", "volatile-ttl", "noeviction"] {
        let fleet = Fleet::start();
        let shop = fleet.shop_with(|builder| builder.memory(Memory::entries(1))).await;
        fleet.redis.config_set("maxmemory-policy", policy);
        fleet.redis.config_set("maxmemory", &(used_memory(&fleet.redis) + (1 << 20)).to_string());
        call_all(&shop, 0..4000).await;
        eventually("a value is stored", async || {
            let id = fastrand::u64(1_000_000..);
            within("a call", shop.visitor(id)).await.unwrap();
            fleet.has_entry("visitor", id)
        })
        .await;
        assert!(lifetimes(&fleet.redis).iter().all(|(_, left)| *left >= 0), "{policy}");
    }
}

/// The least that is left to a stamp of what is carried by entries of `offer`.
fn least(fleet: &Fleet) -> i64 {
    let stamps = lifetimes(&fleet.redis).into_iter().filter(|(key, _)| key.starts_with("hc2:{fleet:t:"));
    let lives: Vec<_> = stamps.map(|(_, left)| left).collect();
    assert_eq!(lives.len(), 3);
    lives.into_iter().min().unwrap()
}

const TWO_HOURS: i64 = 2 * 3600 * 1000;

/// Killed by: prolonging only what the process has created itself; a lifetime that ends what lives longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stamp_outlives_what_is_stored_under_it() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    shop.offer(1, 1).await.unwrap();
    assert!(least(&fleet) > TWO_HOURS);
    let shorten = || {
        for stamp in fleet.redis.keys("hc2:{fleet:t:*") {
            fleet.redis.command(&[b"PEXPIRE", stamp.as_bytes(), b"60000"]);
        }
        assert!(least(&fleet) <= 60_000);
    };
    // Others have only read them.
    shorten();
    fleet.shop().await.offer(1, 2).await.unwrap();
    eventually("they are prolonged", async || least(&fleet) > TWO_HOURS).await;
    shorten();
    fleet.shop().await.offer_entry(1, 3).put(item(3, 0, 9)).await.unwrap();
    eventually("they are prolonged", async || least(&fleet) > TWO_HOURS).await;
    // What lives for a moment only does not end them.
    fleet.shop().await.visitor(1).await.unwrap();
    let namespace = fleet.redis.keys("hc2:{fleet:t:*}:n").remove(0);
    assert!(matches!(fleet.redis.command(&[b"PTTL", namespace.as_bytes()]), Reply::Integer(left) if left > TWO_HOURS));
}

/// Killed by: prolonging with each load, or each time that a number is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stamp_that_is_known_to_live_is_not_prolonged() {
    let fleet = Fleet::start();
    fleet.shop().await.offer(1, 1).await.unwrap();
    let shop = fleet.shop().await;
    shop.offer(1, 2).await.unwrap();
    eventually("all three are prolonged", async || least(&fleet) > TWO_HOURS + 60_000).await;
    let asked = Commands::during(&fleet.redis, async {
        for id in 3..20 {
            shop.offer(1, id).await.unwrap();
        }
    });
    let asked = asked.await;
    assert_eq!(asked.renewals(), 0, "{asked:?}");
}

/// Values that stay in memory carry stamps as well: a stamp that ends would void them. Killed by: prolonging where
/// something is published only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stamp_outlives_values_that_stay_in_memory() {
    let fleet = Fleet::start();
    fleet.shop().await.text(1).await;
    for stamp in fleet.redis.keys("hc2:{fleet:t:*") {
        fleet.redis.command(&[b"PEXPIRE", stamp.as_bytes(), b"60000"]);
    }
    let shop = fleet.shop_with(|builder| builder.value_limit(1000)).await;
    fleet.database.set_version(2, 2000).await;
    assert_eq!(shop.text(2).await.len(), 2000);
    eventually("they are prolonged", async || {
        let stamps = fleet.redis.keys("hc2:{fleet:t:*");
        let lives = |key: &String| matches!(fleet.redis.command(&[b"PTTL", key.as_bytes()]), Reply::Integer(left) if left > TWO_HOURS);
        stamps.len() == 2 && stamps.iter().all(lives)
    })
    .await;
}

/// As long as a load takes, the stamps that it carries must not end. Killed by: a lifetime that counts from the end of the
/// load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stamp_outlives_the_load_that_will_carry_it() {
    let fleet = Fleet::start();
    let shop = fleet.shop_with(|builder| builder.lease_limit(Duration::from_secs(5 * 3600))).await;
    shop.offer(1, 1).await.unwrap();
    assert!(least(&fleet) > TWO_HOURS + 5 * 3600 * 1000);
}
