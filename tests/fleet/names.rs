//! Functions that share a name by accident share no entry.

use hybridcache::{HybridCache, hybrid_cached};

use crate::database::Database;
use crate::fleet::Fleet;

struct Cats;
struct Dogs;

/// Without a receiver, both are `fleet::names::sound` to a macro.
impl Cats {
    #[hybrid_cached(ttl = 2h, key = "{id}", cache = cache)]
    async fn sound(cache: &HybridCache, database: &Database, id: u64) -> String {
        format!("meow {}", database.load(id).await.unwrap().load)
    }
}

impl Dogs {
    #[hybrid_cached(ttl = 2h, key = "{id}", cache = cache)]
    async fn sound(cache: &HybridCache, database: &Database, id: u64) -> String {
        format!("woof {}", database.load(id).await.unwrap().load)
    }
}

/// Killed by: a second function of a name that uses Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_functions_with_one_name_the_second_stays_out_of_redis() {
    let fleet = Fleet::start();
    let (first, second) = (fleet.shop().await.cache, fleet.shop().await.cache);
    let database = &fleet.database;
    assert_eq!(Cats::sound(&first, database, 1).await, "meow 1");
    assert_eq!(Dogs::sound(&first, database, 1).await, "woof 2");
    assert_eq!(Cats::sound(&second, database, 1).await, "meow 1", "it is in Redis");
    assert_eq!(Dogs::sound(&second, database, 1).await, "woof 3", "it is not");
    for _ in 0..3 {
        assert_eq!(Cats::sound(&first, database, 1).await, "meow 1");
        assert_eq!(Dogs::sound(&first, database, 1).await, "woof 2", "it is in memory");
        assert_eq!(Dogs::sound(&second, database, 1).await, "woof 3");
    }
    let keys = fleet.redis.keys("*:e");
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert!(keys[0].contains("names::sound@0"), "{keys:?}");
    Dogs::sound_entry(&first, 1).invalidate().await.unwrap();
    assert_eq!(Dogs::sound(&first, database, 1).await, "woof 4");
    assert_eq!(Cats::sound(&first, database, 1).await, "meow 1");
}

mod left {
    use super::*;

    #[hybrid_cached(ttl = 2h, key = "{id}", cache = cache)]
    pub(super) async fn side(cache: &HybridCache, database: &Database, id: u64) -> String {
        format!("left {}", database.load(id).await.unwrap().load)
    }
}

mod right {
    use super::*;

    #[hybrid_cached(ttl = 2h, key = "{id}", cache = cache)]
    pub(super) async fn side(cache: &HybridCache, database: &Database, id: u64) -> String {
        format!("right {}", database.load(id).await.unwrap().load)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_of_two_modules_share_no_entry() {
    let fleet = Fleet::start();
    let (first, second) = (fleet.shop().await.cache, fleet.shop().await.cache);
    for cache in [&first, &second] {
        assert_eq!(left::side(cache, &fleet.database, 1).await, "left 1");
        assert_eq!(right::side(cache, &fleet.database, 1).await, "right 2");
    }
    assert_eq!(fleet.redis.keys("*:e").len(), 2);
}

/// Keys that look alike to who joins them carelessly, over Redis.
#[hybrid_cached(ttl = 2h, key = "{a}:{b}", cache = cache)]
async fn joined(cache: &HybridCache, database: &Database, a: &str, b: &str) -> String {
    format!("{a}|{b}|{}", database.load(1).await.unwrap().id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_look_alike_are_kept_apart_in_redis() {
    let fleet = Fleet::start();
    let long = "x".repeat(100);
    let pairs = [
        ("x:y", "z"),
        ("x", "y:z"),
        ("x%3Ay", "z"),
        ("x", ""),
        ("", "x"),
        ("", ""),
        (":", ""),
        ("{", "}"),
        ("*", "?"),
        ("a\nb", "\r\n"),
        ("é", "e\u{301}"),
        ("e\u{301}", "é"),
        (&long, "1"),
        (&long, "2"),
        ("#", "1"),
        (" ", "\u{a0}"),
    ];
    let (first, second) = (fleet.shop().await.cache, fleet.shop().await.cache);
    for cache in [&first, &second] {
        for (a, b) in pairs {
            assert_eq!(joined(cache, &fleet.database, a, b).await, format!("{a}|{b}|1"));
        }
    }
    assert_eq!(fleet.database.loads(1).await, pairs.len() as u64);
    assert_eq!(fleet.redis.keys("*:e").len(), pairs.len());
}
