//! Values that stay in memory: too large for Redis, or not to be turned into bytes.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::{self, ThreadId};

use hybridcache::{HybridCache, Memory, hybrid_cached};
use hybridcache_test_support::RedisServer;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::database::Order;
use crate::fleet::Fleet;
use crate::shop::Shop;
use crate::waiting::within;

/// Whose serialization fails if its number is odd.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Stubborn {
    number: u64,
}

impl Serialize for Stubborn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.number % 2 == 1 {
            return Err(serde::ser::Error::custom("odd"));
        }
        #[derive(Serialize)]
        struct Plain {
            number: u64,
        }
        Plain { number: self.number }.serialize(serializer)
    }
}

impl Shop {
    #[hybrid_cached(name = "stubborn", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn stubborn(&self, id: u64) -> Stubborn {
        Stubborn { number: self.database.load(id).await.unwrap().load }
    }
}

/// Killed by: a lease that is not given back when nothing is published.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_over_the_limit_stays_in_memory() {
    let fleet = Fleet::start();
    let shop = fleet.shop_with(|builder| builder.value_limit(1000)).await;
    fleet.database.set_version(1, 2000).await;
    fleet.database.set_version(2, 500).await;
    for _ in 0..3 {
        assert_eq!(shop.text(1).await.len(), 2000);
        assert_eq!(shop.text(2).await.len(), 500);
    }
    assert_eq!((fleet.database.loads(1).await, fleet.database.loads(2).await), (1, 1));
    assert!(!fleet.has_entry("text", 1));
    assert!(fleet.has_entry("text", 2));
    let stats = shop.cache.stats();
    assert_eq!((stats.unsendable, stats.redis_errors), (1, 0));
    fleet.leaves_at_most_marks().await;
    assert_eq!(within("another process", fleet.shop().await.text(1)).await.len(), 2000);
}

/// Killed by: a put that leaves what others would go on to read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_over_the_limit_leaves_no_older_value_to_others() {
    let fleet = Fleet::start();
    let shop = fleet.shop_with(|builder| builder.value_limit(1000)).await;
    fleet.database.set_version(1, 500).await;
    assert_eq!(shop.text(1).await.len(), 500);
    shop.text_entry(1).put("y".repeat(2000)).await.unwrap();
    assert_eq!(shop.text(1).await, "y".repeat(2000));
    assert!(!fleet.has_entry("text", 1));
    fleet.leaves_no_trace().await;
}

/// When a refresh gives a value over the limit, the older one in Redis is stale, and other processes refresh for themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_outgrew_the_limit_is_served() {
    let fleet = Fleet::start();
    let shop = fleet.shop_with(|builder| builder.value_limit(1000)).await;
    fleet.database.set_version(1, 500).await;
    assert_eq!(shop.text(1).await.len(), 500);
    fleet.database.set_version(1, 2000).await;
    assert_eq!(hybridcache::refresh(shop.text(1)).await.len(), 2000);
    assert_eq!(shop.text(1).await.len(), 2000);
    assert_eq!(fleet.database.loads(1).await, 2);
    fleet.leaves_at_most_marks().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_cannot_be_serialized_stays_in_memory() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    for _ in 0..3 {
        assert_eq!(shop.stubborn(1).await, Stubborn { number: 1 });
    }
    assert!(!fleet.has_entry("stubborn", 1));
    let stats = shop.cache.stats();
    assert_eq!((stats.unsendable, stats.redis_errors, stats.loads), (1, 0, 1));
    fleet.leaves_at_most_marks().await;
    let other = fleet.shop().await;
    assert_eq!(other.stubborn(1).await, Stubborn { number: 2 });
    assert!(fleet.has_entry("stubborn", 1));
    assert_eq!(fleet.shop().await.stubborn(1).await, Stubborn { number: 2 });
}

/// Who waits in another process for what will not be stored is told at once, and loads. Killed by: a release that wakes
/// nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiter_for_a_value_over_the_limit_goes_on() {
    let fleet = Fleet::start();
    let shop = fleet.shop_with(|builder| builder.value_limit(1000)).await;
    let other = fleet.shop().await;
    fleet.database.set_version(1, 2000).await;
    fleet.database.order(1, &[Order::Hold]).await;
    let calls = [&shop, &other].map(|shop| {
        let shop = shop.clone();
        async move { shop.text(1).await.len() }
    });
    let [first, second] = calls;
    let first = tokio::spawn(first);
    fleet.database.begun(1, 1).await;
    fleet.prolong_lease();
    let second = tokio::spawn(second);
    fleet.waiting(1).await;
    fleet.database.release(1, 1).await;
    assert_eq!(within("the first", first).await.unwrap(), 2000);
    assert_eq!(within("the second", second).await.unwrap(), 2000);
    assert_eq!(fleet.database.loads(1).await, 2);
    fleet.leaves_at_most_marks().await;
}

/// Entries that memory gave up are read from Redis again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_memory_has_no_room_for_is_read_from_redis() {
    let fleet = Fleet::start();
    let shop = fleet.shop_with(|builder| builder.memory(Memory::entries(10))).await;
    for _ in 0..2 {
        for id in 0..100 {
            assert_eq!(shop.item(id).await.unwrap(), crate::fleet::item(id, 1, 0));
        }
    }
    assert!(shop.cache.memory_entries() <= 10);
    let stats = shop.cache.stats();
    assert_eq!(stats.loads, 100);
    assert!(stats.hits_redis >= 80, "{stats:?}");
}

/// How many numbers were written and read, and on which threads the later ones were.
static WRITTEN: AtomicUsize = AtomicUsize::new(0);
static THREADS: Mutex<Option<HashSet<ThreadId>>> = Mutex::new(None);

/// So many numbers.
#[derive(Clone, Debug, PartialEq)]
struct Numbers(usize);

/// Numbers take three bytes each.
impl Serialize for Numbers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((0..self.0).map(|nth| {
            WRITTEN.fetch_add(1, SeqCst);
            note_thread(nth);
            1000_u16
        }))
    }
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Noted;
        impl<'de> Deserialize<'de> for Noted {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                note_thread(usize::MAX);
                u16::deserialize(deserializer).map(|_| Self)
            }
        }
        Vec::<Noted>::deserialize(deserializer).map(|numbers| Self(numbers.len()))
    }
}

/// Of the first ones nobody knows yet that they are many.
fn note_thread(nth: usize) {
    if nth > 30_000 {
        THREADS.lock().unwrap().get_or_insert_default().insert(thread::current().id());
    }
}

#[hybrid_cached(name = "numbers", ttl = 2h, key = "{count}", cache = cache)]
async fn numbers(cache: &HybridCache, count: usize) -> Numbers {
    Numbers(count)
}

/// On a runtime with one thread, which every task would have to wait for. One test, since what is counted is the process's.
///
/// Killed by: looking at the size of what is all written; encoding, or decoding, on the worker; trying a function's values
/// again and again.
#[test]
fn large_values_are_encoded_and_decoded_aside_and_no_further_than_the_limit() {
    let redis = RedisServer::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let cache = async || {
            let builder = HybridCache::builder().namespace("numbers").redis(redis.url());
            builder.value_limit(300_000).redis_budget(crate::fleet::GENEROUS).build().await.unwrap()
        };
        let first = cache().await;
        assert_eq!(numbers(&first, 90_000).await, Numbers(90_000));
        assert_eq!(numbers(&cache().await, 90_000).await, Numbers(90_000));
        assert_eq!(redis.keys("*:e").len(), 1);
        numbers_entry(&first, 90_000).put(Numbers(80_000)).await.unwrap();
        assert_eq!(numbers(&cache().await, 90_000).await, Numbers(80_000));
        let threads = THREADS.lock().unwrap().take().unwrap_or_default();
        assert!(!threads.is_empty() && !threads.contains(&thread::current().id()), "{threads:?}");

        let tried = cache().await;
        WRITTEN.store(0, SeqCst);
        for count in 1_000_000..1_000_020 {
            assert_eq!(numbers(&tried, count).await, Numbers(count));
        }
        // The first one is begun twice, and eight are enough to know. Of the others it is seen that they are not small.
        let written = WRITTEN.load(SeqCst);
        assert!((8 * 90_000..=8 * 100_000 + 13 * 22_000).contains(&written), "{written}");
        assert_eq!((tried.stats().unsendable, tried.stats().loads), (20, 20));
        assert_eq!(redis.keys("*:e").len(), 1);
        // Small ones are not taken to be like these.
        assert_eq!(numbers(&tried, 20_000).await, Numbers(20_000));
        assert_eq!(redis.keys("*:e").len(), 2);
    });
}

/// Of text it is known without encoding it. Killed by: a pause for values of any size.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_over_the_limit_keep_no_other_ones_out() {
    let fleet = Fleet::start();
    let shop = fleet.shop_with(|builder| builder.value_limit(300_000)).await;
    for id in 1..=20 {
        fleet.database.set_version(id, 400_000).await;
        assert_eq!(shop.text(id).await.len(), 400_000);
        assert!(!fleet.has_entry("text", id));
    }
    for (id, length) in (21..).zip([10, 100_000, 290_000]) {
        fleet.database.set_version(id, length).await;
        assert_eq!(shop.text(id).await.len() as u64, length);
        assert!(fleet.has_entry("text", id), "{length}");
    }
    assert_eq!(shop.cache.stats().unsendable, 20);
}
