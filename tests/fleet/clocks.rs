//! The server's clock is set. To a reader that is the same as an entry whose times are others: here they are written so.

use hybridcache::hybrid_cached;

use crate::database::{Item, Order};
use crate::envelope::{EXPIRES_AT, FRESH_UNTIL, LOADED_AT, with_time};
use crate::fleet::{Fleet, item};
use crate::shop::{Failure, Shop};
use crate::waiting::{eventually, within};

impl Shop {
    #[hybrid_cached(name = "fleeting", fresh_for = 400ms, ttl = 5s, key = "{id}", skip(self), cache = self.cache)]
    async fn fleeting(&self, id: u64) -> Result<Item, Failure> {
        self.load(id).await
    }
}

const QUARTER_OF_AN_HOUR: u64 = 900_000;

/// As if the clock had been set by so much after it was stored. (It lives as long as Redis lets it: no lifetime.)
fn set_clock_back(fleet: &Fleet, function: &str, by: u64) {
    let mut entry = fleet.entry(function, 1);
    for place in [LOADED_AT, FRESH_UNTIL, EXPIRES_AT] {
        let time = u64::from_le_bytes(entry[place..place + 8].try_into().unwrap());
        entry = with_time(&entry, place, time + by);
    }
    fleet.set_entry(function, 1, &entry);
}

/// Killed by: taking an age below zero for that of a fresh value.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_loaded_in_the_future_is_stale() {
    let fleet = Fleet::start();
    fleet.shop().await.item(1).await.unwrap();
    set_clock_back(&fleet, "item", QUARTER_OF_AN_HOUR);
    let shop = fleet.shop().await;
    assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0));
    eventually("it is refreshed", async || shop.item(1).await.unwrap() == item(1, 2, 0)).await;
    assert_eq!(fleet.shop().await.item(1).await.unwrap(), item(1, 2, 0), "and stored with times that are right");
    assert_eq!(fleet.database.loads(1).await, 2);
}

/// Its function knows no stale values.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_loaded_in_the_future_and_is_never_stale_is_a_miss() {
    let fleet = Fleet::start();
    fleet.shop().await.patient(1).await.unwrap();
    set_clock_back(&fleet, "timed", QUARTER_OF_AN_HOUR);
    let shop = fleet.shop().await;
    assert_eq!(within("a call", shop.patient(1)).await.unwrap(), item(1, 2, 0));
    assert_eq!(fleet.shop().await.patient(1).await.unwrap(), item(1, 2, 0));
}

/// A process that had it in memory goes on by its own clock. Killed by: taking what is read again for fresh again; an end in memory
/// that comes from the envelope alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_get_the_same_entry_for_longer() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    shop.fleeting(1).await.unwrap();
    // By as much as it takes for it to seem just loaded, again and again.
    let entry = fleet.entry("fleeting", 1);
    let seem_new = || {
        let now = fleet.now();
        let times = [(LOADED_AT, now), (FRESH_UNTIL, now + 400), (EXPIRES_AT, now + 5_000)];
        let entry = times.into_iter().fold(entry.clone(), |entry, (place, time)| with_time(&entry, place, time));
        fleet.set_entry("fleeting", 1, &entry);
    };
    fleet.database.order(1, &[Order::Fail; 100]).await;
    eventually("it ends", async || {
        seem_new();
        shop.fleeting(1).await.is_err()
    })
    .await;
}

/// Another version of the program stored it for longer. Killed by: a lifetime that is the envelope's alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_fresh_for_longer_than_its_function_says() {
    let fleet = Fleet::start();
    fleet.shop().await.brief(1).await.unwrap();
    fleet.set_entry("brief", 1, &with_time(&fleet.entry("brief", 1), FRESH_UNTIL, fleet.now() + 3_600_000));
    let shop = fleet.shop().await;
    assert_eq!(shop.brief(1).await.unwrap(), item(1, 1, 0));
    eventually("it is refreshed", async || shop.brief(1).await.unwrap() == item(1, 2, 0)).await;
}

/// Forward: misses at most, and then as ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ended_by_a_clock_that_was_set_forward_is_a_miss_once() {
    let fleet = Fleet::start();
    fleet.shop().await.item(1).await.unwrap();
    let mut entry = fleet.entry("item", 1);
    for place in [LOADED_AT, FRESH_UNTIL, EXPIRES_AT] {
        let time = u64::from_le_bytes(entry[place..place + 8].try_into().unwrap());
        entry = with_time(&entry, place, time - 12 * QUARTER_OF_AN_HOUR);
    }
    fleet.set_entry("item", 1, &entry);
    for _ in 0..2 {
        assert_eq!(within("a call", fleet.shop().await.item(1)).await.unwrap(), item(1, 2, 0));
    }
}
