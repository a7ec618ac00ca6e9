//! Values that stay in memory: too large for Redis, or not to be turned into bytes.

use hybridcache::{Memory, hybrid_cached};
use serde::{Deserialize, Serialize, Serializer};

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
async fn who_waits_for_a_value_over_the_limit_goes_on() {
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
