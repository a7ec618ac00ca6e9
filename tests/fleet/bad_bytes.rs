//! Bytes at an entry's key that are no entry, or none for this function: a miss, overwritten by the next load, counted.

use serde::{Deserialize, Serialize};

use hybridcache::hybrid_cached;
use hybridcache_test_support::Reply;

use crate::envelope::{
    CODEC, COMPRESSION, EXPIRES_AT, FENCE, FORMAT, FRESH_UNTIL, HEADER, KEY, KIND, LENGTH, LOADED_AT, MUST_UNDERSTAND,
    MUTABLE, STAMPS, with_byte, with_payload, with_time,
};
use crate::fleet::{Fleet, item};
use crate::shop::Shop;
use crate::waiting::within;

/// Stores one entry of item 0, 1, 2, .. `count` times, and puts what `change` makes of it in its place. A process that reads
/// each of them must load, and store what it loaded.
async fn all_are_misses(count: usize, change: impl Fn(usize, Vec<u8>) -> Vec<u8>) {
    let fleet = Fleet::start();
    let writer = fleet.shop().await;
    let mut changed = Vec::new();
    for nth in 0..count {
        writer.item(nth as u64).await.unwrap();
        changed.push(change(nth, fleet.entry("item", nth as u64)));
        fleet.set_entry("item", nth as u64, &changed[nth]);
    }
    let (reader, peeker) = (fleet.shop().await, fleet.shop().await);
    for (id, bytes) in (0..).zip(&changed) {
        assert_eq!(peeker.item_entry(id).get().await, None, "{bytes:02x?}");
        let found = within("a call", reader.item(id)).await.unwrap();
        assert_eq!(found, item(id, 2, 0), "{bytes:02x?}");
    }
    // No bytes at all are read as no entry.
    let undecodable = changed.iter().filter(|bytes| !bytes.is_empty()).count() as u64;
    for (stats, loads) in [(reader.cache.stats(), count as u64), (peeker.cache.stats(), 0)] {
        assert_eq!((stats.undecodable, stats.loads, stats.redis_errors), (undecodable, loads, 0));
    }
    let last = fleet.shop().await;
    for (id, bytes) in (0..).zip(&changed) {
        assert_eq!(last.item(id).await.unwrap(), item(id, 2, 0), "not stored over {bytes:02x?}");
    }
    assert_eq!(last.cache.stats().loads, 0);
    fleet.leaves_no_trace().await;
}

/// How long an entry of `Shop::item` is, of which the numbers take one byte each.
async fn length() -> usize {
    let fleet = Fleet::start();
    fleet.shop().await.item(1).await.unwrap();
    fleet.entry("item", 1).len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_cut_at_any_length() {
    all_are_misses(length().await, |length, mut valid| {
        valid.truncate(length);
        valid
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_with_something_behind_it() {
    all_are_misses(3, |nth, valid| [valid, vec![0; [1, 16, 1000][nth]]].concat()).await;
}

/// Every byte of the header and of the stamps with one bit, all bits, and a random change; the payload likewise. Killed
/// by: a checksum that leaves the header out; one that is not compared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_with_one_damaged_byte() {
    let places = 0..length().await;
    let changes = places.flat_map(|place| [1 << (place % 8), 0xff, fastrand(place)].map(|change| (place, change)));
    // This one byte and value says "expired by hand".
    let changes: Vec<(usize, u8)> = changes.filter(|change| *change != (MUTABLE, 1)).collect();
    all_are_misses(changes.len(), |nth, mut valid| {
        let (place, change) = changes[nth];
        valid[place] ^= change;
        valid
    })
    .await;
}

/// Some number from 1 to 255, the same in each run.
fn fastrand(seed: usize) -> u8 {
    let mixed = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed >> 40) % 255) as u8 + 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_bytes() {
    let random = |length: usize| (0..length).map(|place| fastrand(length * 1000 + place)).collect::<Vec<_>>();
    let mut lengths: Vec<_> = (0..200).step_by(3).collect();
    lengths.push(100_000);
    all_are_misses(2 * lengths.len(), |nth, valid| {
        let random = random(lengths[nth / 2]);
        if nth % 2 == 0 { random } else { [valid[..4].to_vec(), random].concat() }
    })
    .await;
}

/// With checksums that are right: what a newer version of this crate could write. Killed by: a payload longer than the
/// header says; a key that is not compared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_of_another_format() {
    let mut changes = Vec::new();
    for (place, bytes) in [
        (FORMAT, &[0, 1, 3, 255][..]),
        (MUTABLE, &[2, 128, 255]),
        (CODEC, &[0, 2, 255]),
        (COMPRESSION, &[1, 255]),
        (KIND, &[0, 2, 3, 255]),
        (MUST_UNDERSTAND, &[1, 128, 255]),
        (STAMPS, &[0, 1, 3, 255]),
        (LENGTH, &[0, 255]),
        (LENGTH + 3, &[1, 255]),
    ] {
        changes.extend(bytes.iter().map(|byte| (place, *byte)));
    }
    let bytes = changes.len();
    let mut times = [LOADED_AT, FRESH_UNTIL, EXPIRES_AT].map(|place| (place, u64::MAX)).to_vec();
    times.extend([(FRESH_UNTIL, 0), (EXPIRES_AT, 1)]);
    all_are_misses(bytes + times.len() + 2, |nth, valid| {
        if let Some((place, byte)) = changes.get(nth) {
            return with_byte(&valid, *place, *byte);
        }
        if let Some((place, time)) = times.get(nth - bytes) {
            return with_time(&valid, *place, *time);
        }
        // What another key's entry says.
        let place = if nth % 2 == 0 { KEY } else { HEADER - 1 };
        with_byte(&valid, place, valid[place] ^ 1)
    })
    .await;
}

/// Valid bytes, of another type.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_that_is_none_of_the_type() {
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
    all_are_misses(payloads.len(), |nth, valid| with_payload(&valid, payloads[nth])).await;
}

/// What brought an entry to another key does not matter: it is never served there. Killed by: a key that is not compared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_was_moved_to_another_key() {
    let fleet = Fleet::start();
    let writer = fleet.shop().await;
    let foreign = fleet.shop_with(|builder| builder.namespace("elsewhere")).await;
    for id in 0..4 {
        writer.item(id).await.unwrap();
        writer.brief(id).await.unwrap();
        writer.text(id).await;
    }
    foreign.item(9).await.unwrap();
    let key = |function: &str, id: u64| fleet.entry_key(function, id);
    // Other arguments, another function of the same type, of another type, another namespace.
    let moved = [
        (key("item", 1), key("item", 0)),
        (key("brief", 1), key("item", 1)),
        (key("text", 2), key("item", 2)),
        (key("item", 9), key("item", 3)),
    ];
    for (from, to) in &moved {
        let renamed = fleet.redis.command(&[b"RENAME", from.as_bytes(), to.as_bytes()]);
        assert_eq!(renamed, Reply::Simple("OK".to_owned()));
    }
    let reader = fleet.shop().await;
    for id in 0..4 {
        let before = fleet.database.loads(id).await;
        assert_eq!(reader.item_entry(id).get().await, None, "{id}");
        assert_eq!(reader.item(id).await.unwrap(), item(id, before + 1, 0));
        assert_eq!(fleet.shop().await.item(id).await.unwrap(), item(id, before + 1, 0), "it takes the place");
    }
    let stats = reader.cache.stats();
    assert_eq!((stats.undecodable, stats.loads, stats.redis_errors), (8, 4, 0));
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
