//! Values that are encrypted on their way to Redis: who reads them, when keys are rotated, and what is not an entry of its key.

use hybridcache::{Builder, Compression, Keyring};

use crate::envelope::{HEADER, KEY, MUST_UNDERSTAND, MUTABLE, STAMPS, with_byte};
use crate::fleet::{Fleet, item};
use crate::packing::digits;
use crate::shop::Shop;

/// A keyring with these keys, of which the last is the primary one.
fn keys(ids: &[u32]) -> impl Fn(Builder) -> Builder {
    let ring = ids.iter().fold(Keyring::new(), |ring, id| ring.key(*id, [*id as u8; 32]).unwrap());
    let ring = ring.primary(*ids.last().unwrap()).unwrap();
    move |builder| builder.encryption(ring.clone())
}

impl Fleet {
    async fn sealing(&self, ids: &[u32]) -> Shop {
        self.shop_with(keys(ids)).await
    }
}

fn is_sealed(entry: &[u8]) -> bool {
    entry[MUST_UNDERSTAND] & 1 == 1
}

/// Small values and such that travel as large ones, loads and puts, compressed and not. Killed by: a put, or a length, that is not sealed; a
/// seal below compression.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_readable_is_stored_and_every_process_with_the_key_reads_it() {
    let fleet = Fleet::start();
    let mut id = 0;
    for compression in [Compression::none(), Compression::lz4(), Compression::zstd(1)] {
        let seals = |builder: Builder| keys(&[1])(builder.compression(compression));
        for length in [10, 3_000, 70_000, 300_000] {
            id += 1;
            fleet.database.set_version(id, length).await;
            let writer = fleet.shop_with(seals).await;
            assert_eq!(writer.digits(id).await, digits(length));
            let entry = fleet.entry("digits", id);
            assert!(is_sealed(&entry));
            let begin = &digits(10).into_bytes()[..6];
            assert!(!entry.windows(6).any(|window| window == begin), "{length}");
            // A reader's own compression does not matter.
            for reader in [fleet.shop_with(seals).await, fleet.sealing(&[1]).await] {
                assert_eq!(reader.digits(id).await, digits(length));
                assert_eq!(reader.digits_entry(id).get().await, Some(digits(length)));
                assert_eq!((reader.cache.stats().loads, reader.cache.stats().undecodable), (0, 0));
            }
            writer.digits_entry(id).put(digits(length + 1)).await.unwrap();
            assert!(is_sealed(&fleet.entry("digits", id)));
            assert_eq!(fleet.sealing(&[1]).await.digits(id).await, digits(length + 1));
            assert_eq!(fleet.database.loads(id).await, 1);
        }
    }
    fleet.leaves_no_trace().await;
}

/// Killed by: a writer that seals with the first key; a reader that tries the primary key only; an old key that is not counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_rotated_without_a_load() {
    let fleet = Fleet::start();
    // All have both keys; in some of them the new one encrypts.
    let both = [fleet.sealing(&[2, 1]).await, fleet.sealing(&[1, 2]).await];
    for (id, writer) in (0..).zip(&both) {
        assert_eq!(writer.item(id).await.unwrap(), item(id, 1, 0));
        for reader in [&[2, 1], &[1, 2]] {
            let reader = fleet.sealing(reader).await;
            assert_eq!(reader.item(id).await.unwrap(), item(id, 1, 0));
            assert_eq!(reader.cache.stats().loads, 0);
        }
    }
    // Item 0 has key 1, item 1 has key 2.
    let last = fleet.sealing(&[1, 2]).await;
    for id in 0..2 {
        last.item(id).await.unwrap();
    }
    assert_eq!((last.cache.stats().opened_with_old_key, last.cache.stats().loads), (1, 0));
    assert_eq!(last.cache.function_stats("item").opened_with_old_key, 1);
    // The old key goes: what is left under it is a miss, counted, and what is loaded takes its place.
    let without = fleet.sealing(&[2]).await;
    for id in 0..2 {
        without.item(id).await.unwrap();
    }
    let stats = without.cache.stats();
    assert_eq!((stats.loads, stats.undecodable, stats.opened_with_old_key), (1, 1, 0));
    assert_eq!(fleet.sealing(&[2]).await.item(0).await.unwrap(), item(0, 2, 0));
}

/// Killed by: plaintext that is served under a keyring.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_with_and_without_a_keyring_load_once_each() {
    let fleet = Fleet::start();
    let (plain, sealing) = (fleet.shop().await, fleet.sealing(&[1]).await);
    plain.item(1).await.unwrap();
    assert_eq!(sealing.item_entry(1).get().await, None, "plaintext");
    // Each of them keeps its own in memory: they do not take turns.
    for _ in 0..5 {
        plain.item(1).await.unwrap();
        sealing.item(1).await.unwrap();
    }
    assert_eq!(fleet.database.loads(1).await, 2);
    assert!(is_sealed(&fleet.entry("item", 1)));
    let later = fleet.shop().await;
    assert_eq!(later.item_entry(1).get().await, None, "sealed");
    assert_eq!((later.cache.stats().undecodable, sealing.cache.stats().undecodable), (1, 2));
}

/// By one who can write to Redis: the hash of the key in the header is made right, and the checksum. Killed by: a seal without the name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_was_moved_is_a_miss() {
    let fleet = Fleet::start();
    let writer = fleet.sealing(&[1]).await;
    for id in 0..2 {
        writer.item(id).await.unwrap();
    }
    let (from, to) = (fleet.entry("item", 0), fleet.entry("item", 1));
    let mut moved = from.clone();
    moved[KEY..HEADER].copy_from_slice(&to[KEY..HEADER]);
    fleet.set_entry("item", 1, &with_byte(&moved, STAMPS, moved[STAMPS]));
    let reader = fleet.sealing(&[1]).await;
    assert_eq!(reader.item(1).await.unwrap(), item(1, 2, 0));
    assert_eq!((reader.cache.stats().loads, reader.cache.stats().undecodable), (1, 1));
    // The same bytes at their own place are good.
    fleet.set_entry("item", 0, &with_byte(&from, STAMPS, from[STAMPS]));
    assert_eq!(fleet.sealing(&[1]).await.item(0).await.unwrap(), item(0, 1, 0));
}

/// Invalidation and expiry change entries in place, or find them by their names. Killed by: a seal over the mark.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealed_entries_are_invalidated_and_expired() {
    let fleet = Fleet::start();
    let shop = fleet.sealing(&[1]).await;
    shop.item(1).await.unwrap();
    shop.item_entry(1).expire().await.unwrap();
    let stale = fleet.sealing(&[1]).await;
    assert_eq!(stale.item_entry(1).get().await, Some(item(1, 1, 0)));
    assert_eq!((stale.cache.stats().undecodable, fleet.entry("item", 1)[MUTABLE]), (0, 1));
    shop.item_entry(1).invalidate().await.unwrap();
    assert!(!fleet.has_entry("item", 1));
}

#[tokio::test]
async fn a_keyring_without_a_primary_key_is_refused() {
    let ring = Keyring::new().key(1, [1; 32]).unwrap();
    let error = hybridcache::HybridCache::builder().encryption(ring).build().await.unwrap_err();
    assert!(error.is_config() && error.to_string().starts_with("encryption: "), "{error}");
    let zero = Compression::lz4().above(0);
    let error = hybridcache::HybridCache::builder().compression(zero).build().await.unwrap_err();
    assert!(error.is_config() && error.to_string().starts_with("compression: "), "{error}");
}
