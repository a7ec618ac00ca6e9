//! Bytes at an entry's key that are no entry, or none for this function: a miss, overwritten by the next load, counted.

use serde::{Deserialize, Serialize};

use hybridcache::hybrid_cached;

use crate::envelope::{
    CODEC, COMPRESSION, EXPIRES_AT, FENCE, FORMAT, FRESH_UNTIL, HEADER, KIND, LENGTH, LOADED_AT, MUST_UNDERSTAND,
    MUTABLE, STAMPS, with_byte, with_payload, with_time,
};
use crate::fleet::{Fleet, item};
use crate::shop::Shop;
use crate::waiting::within;

/// Stores one entry of item 0, 1, 2, .. for each of `variants` and puts those bytes in its place. A process that reads
/// each of them must load, and store what it loaded.
async fn all_are_misses(fleet: &Fleet, variants: &[Vec<u8>]) {
    let writer = fleet.shop().await;
    for (id, bytes) in (0..).zip(variants) {
        writer.item(id).await.unwrap();
        fleet.set_entry("item", id, bytes);
    }
    let (reader, peeker) = (fleet.shop().await, fleet.shop().await);
    for (id, bytes) in (0..).zip(variants) {
        assert_eq!(peeker.item_entry(id).get().await, None, "{bytes:02x?}");
        let found = within("a call", reader.item(id)).await.unwrap();
        assert_eq!(found, item(id, 2, 0), "{bytes:02x?}");
    }
    let count = variants.len() as u64;
    for (stats, loads) in [(reader.cache.stats(), count), (peeker.cache.stats(), 0)] {
        assert_eq!((stats.undecodable, stats.loads, stats.redis_errors), (count, loads, 0));
    }
    let last = fleet.shop().await;
    for (id, bytes) in (0..).zip(variants) {
        assert_eq!(last.item(id).await.unwrap(), item(id, 2, 0), "not stored over {bytes:02x?}");
    }
    assert_eq!(last.cache.stats().loads, 0);
    fleet.leaves_no_trace().await;
}

/// An entry of `Shop::item` that would be valid for id 0.
async fn valid(fleet: &Fleet) -> Vec<u8> {
    fleet.shop().await.item(1_000_000).await.unwrap();
    fleet.entry("item", 1_000_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_cut_at_any_length() {
    let fleet = Fleet::start();
    let valid = valid(&fleet).await;
    let variants: Vec<_> = (0..valid.len()).map(|length| valid[..length].to_vec()).collect();
    all_are_misses(&fleet, &variants).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_with_something_behind_it() {
    let fleet = Fleet::start();
    let valid = valid(&fleet).await;
    let variants = [1, 16, 1000].map(|more| [valid.clone(), vec![0; more]].concat());
    all_are_misses(&fleet, &variants).await;
}

/// Every byte of the header and of the stamps with one bit, all bits, and a random change; the payload likewise. Killed
/// by: a checksum that leaves the header out; one that is not compared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_with_one_damaged_byte() {
    let fleet = Fleet::start();
    let valid = valid(&fleet).await;
    let mut variants = Vec::new();
    for place in 0..valid.len() {
        for change in [1 << (place % 8), 0xff, fastrand(place)] {
            // This one byte and value says "expired by hand".
            if (place, change) != (MUTABLE, 1) {
                let mut damaged = valid.clone();
                damaged[place] ^= change;
                variants.push(damaged);
            }
        }
    }
    all_are_misses(&fleet, &variants).await;
}

/// Some number from 1 to 255, the same in each run.
fn fastrand(seed: usize) -> u8 {
    let mixed = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed >> 40) % 255) as u8 + 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_bytes() {
    let fleet = Fleet::start();
    let magic = valid(&fleet).await[..4].to_vec();
    let random = |length: usize| (0..length).map(|place| fastrand(length * 1000 + place)).collect::<Vec<_>>();
    let mut variants: Vec<_> = (0..200).step_by(3).map(random).collect();
    variants.extend((0..200).step_by(3).map(|length| [magic.clone(), random(length)].concat()));
    variants.push(random(100_000));
    all_are_misses(&fleet, &variants).await;
}

/// With checksums that are right: what a newer version of this crate could write. Killed by: a payload longer than the
/// header says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_of_another_format() {
    let fleet = Fleet::start();
    let valid = valid(&fleet).await;
    let mut variants = Vec::new();
    for (place, bytes) in [
        (FORMAT, &[0, 1, 255][..]),
        (MUTABLE, &[2, 128, 255]),
        (CODEC, &[0, 2, 255]),
        (COMPRESSION, &[1, 255]),
        (KIND, &[0, 2, 3, 255]),
        (MUST_UNDERSTAND, &[1, 128, 255]),
        (STAMPS, &[0, 1, 3, 255]),
        (LENGTH, &[0, 255]),
        (LENGTH + 3, &[1, 255]),
    ] {
        variants.extend(bytes.iter().map(|byte| with_byte(&valid, place, *byte)));
    }
    for place in [LOADED_AT, FRESH_UNTIL, EXPIRES_AT] {
        variants.push(with_time(&valid, place, u64::MAX));
    }
    variants.push(with_time(&valid, FRESH_UNTIL, 0));
    variants.push(with_time(&valid, EXPIRES_AT, 1));
    all_are_misses(&fleet, &variants).await;
}

/// Valid bytes, of another type.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_that_is_none_of_the_type() {
    let fleet = Fleet::start();
    let valid = valid(&fleet).await;
    let payloads: [&[u8]; 12] = [
        b"",
        b"\xc0",           // nil
        b"\x07",           // 7
        b"\xa3abc",        // "abc"
        b"\x80",           // {}
        b"\x92\x01\x02",   // [1, 2]
        b"\x81\xa2id\x01", // {"id": 1}
        b"\x83\xa2id\x01\xa4load\x01\xa7version\xa1x",
        b"\x83\xa2id\x01\xa4load\x01\xa7version\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc1",
        b"\x07\x07",
    ];
    let variants: Vec<_> = payloads.iter().map(|payload| with_payload(&valid, payload)).collect();
    all_are_misses(&fleet, &variants).await;
}

/// A flag that may be ignored, and a fence of any bytes: what is not understood but harmless is no reason to load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_be_ignored_is_ignored() {
    let fleet = Fleet::start();
    let writer = fleet.shop().await;
    let changes = [(8, 1), (8, 255), (FENCE, 7), (FENCE + 15, 7), (12, 99)];
    for (id, (place, byte)) in (0..).zip(changes) {
        writer.item(id).await.unwrap();
        let entry = fleet.entry("item", id);
        assert!(entry.len() > HEADER);
        fleet.set_entry("item", id, &with_byte(&entry, place, byte));
    }
    let reader = fleet.shop().await;
    for id in 0..changes.len() as u64 {
        assert_eq!(reader.item(id).await.unwrap(), item(id, 1, 0));
    }
    assert_eq!(reader.cache.stats().undecodable, 0);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Label {
    text: String,
}

/// Two functions that claim one name, as two services could, or two releases that forgot `version`.
impl Shop {
    #[hybrid_cached(name = "thing", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn thing(&self, id: u64) -> u64 {
        self.database.load(id).await.unwrap().load
    }

    #[hybrid_cached(name = "thing", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn labelled(&self, id: u64) -> Label {
        Label { text: format!("label {}", self.database.load(id).await.unwrap().load) }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_of_a_function_with_another_type() {
    let fleet = Fleet::start();
    let (numbers, labels) = (fleet.shop().await, fleet.shop().await);
    assert_eq!(numbers.thing(1).await, 1);
    assert_eq!(labels.labelled_entry(1).get().await, None);
    assert_eq!(labels.labelled(1).await, Label { text: "label 2".into() });
    assert_eq!(labels.labelled(1).await, Label { text: "label 2".into() });
    let fresh = fleet.shop().await;
    assert_eq!(fresh.thing_entry(1).get().await, None);
    assert_eq!(fresh.thing(1).await, 3);
    // In one process, too.
    assert_eq!(fresh.labelled(1).await, Label { text: "label 4".into() });
    assert_eq!(fresh.labelled(1).await, Label { text: "label 4".into() });
    let stats = fresh.cache.stats();
    assert_eq!((stats.loads, stats.redis_errors), (2, 0));
    assert!(stats.undecodable >= 2);
}
