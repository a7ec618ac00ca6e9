//! Values of many shapes come out of Redis as they went in.

use std::collections::BTreeMap;
use std::sync::Arc;

use hybridcache::{HybridCache, hybrid_cached};
use hybridcache_test_support::{RedisServer, log_of};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::fleet::{Fleet, GENEROUS, item};
use crate::shop::{Failure, Shop};
use crate::waiting::eventually;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Nothing,
    Number(i64),
    Pair(u8, Option<String>),
    Record { by: BTreeMap<String, Vec<f64>>, nested: Box<Shape> },
}

/// What the function with this number returns.
fn shapes() -> Vec<Shape> {
    let by = BTreeMap::from([("π".to_owned(), vec![2.5e-7, f64::MIN_POSITIVE, -0.0]), (String::new(), vec![])]);
    let record = Shape::Record { by, nested: Box::new(Shape::Pair(255, Some("\u{1f980}\0\n".into()))) };
    vec![
        Shape::Nothing,
        Shape::Number(i64::MIN),
        Shape::Number(i64::MAX),
        Shape::Pair(0, None),
        Shape::Record { by: BTreeMap::new(), nested: Box::new(record.clone()) },
        record,
    ]
}

/// What MessagePack alone cannot tell apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Profile {
    nickname: Option<Option<String>>,
    flag: Option<()>,
    json: Option<serde_json::Value>,
    host: Host,
}

/// serde takes the first variant that fits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Host {
    Address(std::net::IpAddr),
    Wide(i128),
    Name(String),
}

fn profiles() -> Vec<Profile> {
    let host = Host::Address("2001:db8::1".parse().unwrap());
    vec![
        Profile { nickname: None, flag: None, json: None, host: Host::Name("a".into()) },
        Profile { nickname: Some(None), flag: Some(()), json: Some(serde_json::Value::Null), host },
        Profile {
            nickname: Some(Some("x".into())),
            flag: None,
            json: Some(json!([null])),
            host: Host::Name("b".into()),
        },
    ]
}

type Fallible<T> = Result<T, Failure>;

/// Each counts a load.
impl Shop {
    async fn count(&self, id: u64) {
        self.database.load(id).await.unwrap();
    }

    #[hybrid_cached(name = "maybe", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn maybe(&self, id: u64) -> Option<u64> {
        self.count(id).await;
        [None, Some(0), Some(u64::MAX)][id as usize]
    }

    #[hybrid_cached(name = "nested", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn nested(&self, id: u64) -> Option<Option<u64>> {
        self.count(id).await;
        [None, Some(None), Some(Some(7))][id as usize]
    }

    #[hybrid_cached(name = "flag", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn flag(&self, id: u64) -> Option<()> {
        self.count(id).await;
        [None, Some(())][id as usize]
    }

    #[hybrid_cached(name = "fallible", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn fallible(&self, id: u64) -> Fallible<Option<Option<u64>>> {
        self.count(id).await;
        Ok([None, Some(None), Some(Some(7))][id as usize])
    }

    #[hybrid_cached(name = "unit", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn unit(&self, id: u64) {
        self.count(id).await;
    }

    #[hybrid_cached(name = "shape", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn shape(&self, id: u64) -> Arc<Shape> {
        self.count(id).await;
        Arc::new(shapes()[id as usize].clone())
    }

    #[hybrid_cached(name = "profile", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn profile(&self, id: u64) -> Profile {
        self.count(id).await;
        profiles()[id as usize].clone()
    }

    #[hybrid_cached(name = "host", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn host(&self, id: u64) -> Host {
        self.count(id).await;
        if id == 0 { Host::Name("a".into()) } else { Host::Wide(i128::from(id)) }
    }

    #[hybrid_cached(name = "slice", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn slice(&self, id: u64) -> Arc<[u8]> {
        self.count(id).await;
        (0..id as usize).map(|place| (place % 251) as u8).collect()
    }
}

/// Calls a function through a process that loads and through one that reads, and its handle through a third: all must
/// give what is expected, with one load.
macro_rules! crosses {
    ($fleet:expr, $function:ident, $entry:ident, $id:expr, $expected:expr) => {{
        let (id, expected) = ($id as u64, $expected);
        let (first, second, third) = ($fleet.shop().await, $fleet.shop().await, $fleet.shop().await);
        let before = $fleet.database.loads(id).await;
        assert_eq!(first.$function(id).await, expected);
        assert_eq!(second.$function(id).await, expected);
        assert_eq!(third.$entry(id).get().await, Some(expected));
        assert_eq!($fleet.database.loads(id).await, before + 1);
        assert_eq!(second.cache.stats().hits_redis, 1);
    }};
}

/// Killed by: leaving an outer `Option` to the codec.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options() {
    let fleet = Fleet::start();
    for (id, expected) in [None, Some(0), Some(u64::MAX)].into_iter().enumerate() {
        crosses!(fleet, maybe, maybe_entry, id, expected);
    }
    for (id, expected) in [None, Some(None), Some(Some(7))].into_iter().enumerate() {
        crosses!(fleet, nested, nested_entry, id, expected);
    }
    for (id, expected) in [None, Some(())].into_iter().enumerate() {
        crosses!(fleet, flag, flag_entry, id, expected);
    }
    crosses!(fleet, unit, unit_entry, 0, ());
}

/// Options as the value of a `Result`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_in_results() {
    let fleet = Fleet::start();
    for (id, expected) in (0..).zip([None, Some(None), Some(Some(7))]) {
        let (first, second) = (fleet.shop().await, fleet.shop().await);
        assert_eq!(first.fallible(id).await.unwrap(), expected);
        assert_eq!(second.fallible(id).await.unwrap(), expected);
        assert_eq!(fleet.shop().await.fallible_entry(id).get().await, Some(expected));
        assert_eq!(fleet.database.loads(id).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shapes_behind_an_arc() {
    let fleet = Fleet::start();
    for (id, shape) in shapes().into_iter().enumerate() {
        crosses!(fleet, shape, shape_entry, id, Arc::new(shape.clone()));
    }
    crosses!(fleet, shared, shared_entry, 9, Arc::new(item(9, 1, 0)));
    let shop = fleet.shop().await;
    assert!(Arc::ptr_eq(&shop.shape(5).await, &shop.shape(5).await), "a hit copies nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_values() {
    let fleet = Fleet::start();
    for length in [0, 1, 65_535, 65_536, 1_000_000] {
        fleet.database.set_version(length, length).await;
        let expected = "x".repeat(length as usize);
        crosses!(fleet, text, text_entry, length, expected.clone());
    }
    for length in [0, 255, 100_000] {
        let expected: Arc<[u8]> = (0..length).map(|place: usize| (place % 251) as u8).collect();
        crosses!(fleet, slice, slice_entry, length, expected.clone());
    }
    fleet.leaves_no_trace().await;
}

/// What was put reads like what was loaded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_put() {
    let fleet = Fleet::start();
    let (first, second) = (fleet.shop().await, fleet.shop().await);
    first.nested_entry(2).put(Some(None)).await.unwrap();
    assert_eq!(second.nested(2).await, Some(None));
    first.maybe_entry(1).put(None).await.unwrap();
    assert_eq!(second.maybe(1).await, None);
    first.fallible_entry(2).put(None).await.unwrap();
    assert_eq!(second.fallible(2).await.unwrap(), None);
    first.shape_entry(0).put(Arc::new(Shape::Number(7))).await.unwrap();
    assert_eq!(*second.shape(0).await, Shape::Number(7));
    assert_eq!(second.cache.stats().loads, 0);
}

/// Killed by: MessagePack as it is, which has one nothing for all of these.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_inside_of_a_value() {
    let fleet = Fleet::start();
    for (id, profile) in profiles().into_iter().enumerate() {
        crosses!(fleet, profile, profile_entry, id, profile.clone());
    }
}

/// serde has no room for an `i128` in an untagged enum. Killed by: storing what was not read back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_whose_values_do_not_come_back_stays_out_of_redis() {
    let fleet = Fleet::start();
    let (first, second) = (fleet.shop().await, fleet.shop().await);
    for _ in 0..2 {
        for shop in [&first, &second] {
            assert_eq!(shop.host(7).await, Host::Wide(7));
            assert_eq!(shop.host_entry(7).get().await, Some(Host::Wide(7)));
        }
    }
    assert!(!fleet.has_entry("host", 7));
    assert_eq!(first.host(0).await, Host::Name("a".into()));
    assert!(!fleet.has_entry("host", 0));
    assert_eq!((fleet.database.loads(7).await, first.cache.stats().loads), (2, 2));
    // What another process has there does not outlive a put.
    let third = fleet.shop().await;
    assert_eq!(third.host(0).await, Host::Name("a".into()));
    assert!(fleet.has_entry("host", 0));
    first.host_entry(0).put(Host::Wide(8)).await.unwrap();
    assert_eq!(first.host(0).await, Host::Wide(8));
    assert!(!fleet.has_entry("host", 0));
    eventually("the message arrives", async || third.host_entry(0).get().await.is_none()).await;
}

/// What is logged on this thread by `work` with a cache.
fn log_with<F: Future>(redis: &RedisServer, work: impl FnOnce(HybridCache) -> F) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let builder =
        HybridCache::builder().namespace("values").redis(redis.url()).value_limit(100_000).redis_budget(GENEROUS);
    log_of(|| {
        runtime.block_on(async { work(builder.build().await.unwrap()).await });
    })
}

fn warnings(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.starts_with("WARN")).collect()
}

#[hybrid_cached(name = "wide", ttl = 2h, key = "{id}", cache = cache)]
async fn wide(cache: &HybridCache, id: u64) -> Host {
    Host::Wide(i128::from(id))
}

#[hybrid_cached(name = "plain", ttl = 2h, key = "{id}", cache = cache)]
async fn plain(cache: &HybridCache, id: u64) -> u64 {
    id
}

#[hybrid_cached(name = "letters", ttl = 2h, key = "{id}", cache = cache)]
async fn letters(cache: &HybridCache, id: u64) -> String {
    "x".repeat(id as usize)
}

/// Killed by: no warning; one for each value.
#[test]
fn that_values_do_not_come_back_is_logged_once() {
    let redis = RedisServer::start();
    let log = log_with(&redis, async |cache| {
        for id in 0..5 {
            wide(&cache, id).await;
            wide_entry(&cache, id).put(Host::Wide(1)).await.unwrap();
        }
    });
    let [warning] = warnings(&log)[..] else { panic!("{log}") };
    for part in ["\"wide\"", "decoded", "tier = memory"] {
        assert!(warning.contains(part), "{log}");
    }
}

/// Killed by: a miss that nobody is told of; one that is told of each time.
#[test]
fn that_an_entry_cannot_be_read_is_logged_once_a_minute() {
    let redis = RedisServer::start();
    let log = log_with(&redis, async |cache| {
        for id in 0..5 {
            plain(&cache, id).await;
        }
    });
    assert_eq!(warnings(&log), [""; 0], "{log}");
    for key in redis.keys("*:plain@*:e") {
        redis.command(&[b"SET", key.as_bytes(), b"rubbish"]);
    }
    let log = log_with(&redis, async |cache| {
        for id in 0..5 {
            assert_eq!(plain(&cache, id).await, id);
        }
        assert_eq!(cache.stats().undecodable, 5);
    });
    let [warning] = warnings(&log)[..] else { panic!("{log}") };
    for part in ["\"plain\"", "cannot be read", "not an entry of this cache"] {
        assert!(warning.contains(part), "{log}");
    }
}

/// Killed by: no warning; one for each value.
#[test]
fn that_values_are_too_large_is_logged_once() {
    let redis = RedisServer::start();
    let log = log_with(&redis, async |cache| {
        for id in 100_000..100_009 {
            assert_eq!(letters(&cache, id).await.len() as u64, id);
            letters_entry(&cache, id).put("y".repeat(200_000)).await.unwrap();
        }
        assert_eq!(cache.stats().unsendable, 18);
    });
    let [warning] = warnings(&log)[..] else { panic!("{log}") };
    for part in ["\"letters\"", "value_limit", "100000"] {
        assert!(warning.contains(part), "{log}");
    }
    assert!(redis.keys("*:e").is_empty());
}
