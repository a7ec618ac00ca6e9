//! What a load says of its own entry, in Redis.

use std::time::Duration;

use hybridcache::{hybrid_cached, this_load};
use hybridcache_test_support::Reply;

use crate::database::Item;
use crate::envelope::{EXPIRES_AT, FRESH_UNTIL, LOADED_AT, time};
use crate::fleet::{Fleet, item};
use crate::shop::{Failure, Shop};

impl Shop {
    /// Fresh for 300 s and gone after 600, which is not what the attribute says.
    #[hybrid_cached(name = "said", fresh_for = 10%, ttl = 1000s, key = "{id}", skip(self), cache = self.cache)]
    async fn said(&self, id: u64) -> Result<Item, Failure> {
        this_load().ttl(Duration::from_secs(600));
        this_load().fresh_for(Duration::from_secs(300));
        self.load(id).await
    }

    #[hybrid_cached(name = "absent", none_ttl = 100s, ttl = 1000s, key = "{id}", skip(self), cache = self.cache)]
    async fn absent(&self, id: u64) -> Result<Option<Item>, Failure> {
        let found = self.load(id).await?;
        Ok((id != 0).then_some(found))
    }

    #[hybrid_cached(name = "jittered", jitter = 50%, ttl = 1000s, key = "{id}", skip(self), cache = self.cache)]
    async fn jittered(&self, id: u64) -> Result<Item, Failure> {
        self.load(id).await
    }

    #[hybrid_cached(name = "costly", min_cost = 1h, ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn costly(&self, id: u64) -> Result<Item, Failure> {
        self.load(id).await
    }
}

/// The seconds for which an entry is fresh, for which it lives, and for which Redis keeps it; a load here takes less
/// than one.
fn seconds(fleet: &Fleet, function: &str, id: u64) -> (u64, u64, u64) {
    let entry = fleet.entry(function, id);
    let [loaded, fresh, ends] = [LOADED_AT, FRESH_UNTIL, EXPIRES_AT].map(|place| time(&entry, place));
    let Reply::Integer(left) = fleet.redis.command(&[b"PTTL", fleet.entry_key(function, id).as_bytes()]) else {
        panic!("PTTL was refused")
    };
    ((fresh - loaded) / 1000, (ends - loaded) / 1000, (left as u64).div_ceil(1000))
}

/// Killed by: what the load said kept from Redis; a reader that takes its own `fresh_for`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_load_says_of_its_entry_is_in_redis() {
    let fleet = Fleet::start();
    let (first, second) = (fleet.shop().await, fleet.shop().await);
    first.said(1).await.unwrap();
    assert_eq!(seconds(&fleet, "said", 1), (300, 600, 600));
    // Loaded 200 s ago: stale by the attribute, fresh by what the load said.
    let mut entry = fleet.entry("said", 1);
    for place in [LOADED_AT, FRESH_UNTIL, EXPIRES_AT] {
        entry = crate::envelope::with_time(&entry, place, time(&entry, place) - 200_000);
    }
    fleet.set_entry("said", 1, &entry);
    assert_eq!(second.said(1).await.unwrap(), item(1, 1, 0));
    assert_eq!(second.said(1).await.unwrap(), item(1, 1, 0));
    assert_eq!((second.cache.stats().stale_hits, fleet.database.loads(1).await), (0, 1));
}

/// Killed by: each option ignored where a value is published.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_of_lifetimes_hold_in_redis() {
    let fleet = Fleet::start();
    let (first, second) = (fleet.shop().await, fleet.shop().await);
    assert_eq!(first.absent(0).await.unwrap(), None);
    first.absent(1).await.unwrap();
    assert_eq!((seconds(&fleet, "absent", 0).1, seconds(&fleet, "absent", 1).1), (100, 1000));
    assert_eq!(second.absent(0).await.unwrap(), None);
    assert_eq!(fleet.database.loads(0).await, 1);
    second.absent_entry(2).put(None).await.unwrap();
    assert_eq!(seconds(&fleet, "absent", 2), (100, 100, 100));

    let mut lives = Vec::new();
    for id in 0..20 {
        first.jittered(id).await.unwrap();
        let (fresh, lived, kept) = seconds(&fleet, "jittered", id);
        assert!(fresh == lived && kept.abs_diff(lived) <= 1 && (500..=1000).contains(&lived), "{fresh} {lived} {kept}");
        lives.push(lived);
    }
    lives.dedup();
    assert!(lives.len() > 10, "each has its own: {lives:?}");

    first.costly(1).await.unwrap();
    second.costly(1).await.unwrap();
    assert!(!fleet.has_entry("costly", 1));
}
