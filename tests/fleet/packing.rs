//! Values that are packed on their way to Redis: what is stored, who can read it, and how often is loaded where somebody cannot.

use hybridcache::{Builder, Compression, Memory, hybrid_cached};

use crate::envelope::{COMPRESSION, HEADER, LENGTH, STAMPS, with_byte, with_compressed};
use crate::fleet::Fleet;
use crate::shop::Shop;

impl Shop {
    /// Less than two thirds are left when it is compressed. As long as the item's version says.
    #[hybrid_cached(name = "digits", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    pub(crate) async fn digits(&self, id: u64) -> String {
        digits(self.database.load(id).await.unwrap().version)
    }

    #[hybrid_cached(name = "plain", ttl = 2h, key = "{id}", skip(self), cache = self.cache, compress = false)]
    async fn plain(&self, id: u64) -> String {
        digits(self.database.load(id).await.unwrap().version)
    }

    #[hybrid_cached(name = "bounded", ttl = 2h, key = "{id}", skip(self), cache = self.cache, max_value = 2kb)]
    async fn bounded(&self, id: u64) -> String {
        digits(self.database.load(id).await.unwrap().version)
    }
}

/// Hexadecimal digits, a third of them in no order, the same at each call.
pub(crate) fn digits(length: u64) -> String {
    let mut random = fastrand::Rng::with_seed(7);
    let mut digits = String::new();
    while digits.len() < length as usize {
        digits += &format!("{:08x}0123456789abcdef", random.u32(..));
    }
    digits.truncate(length as usize);
    digits
}

type Setting = fn(Builder) -> Builder;

/// The settings of a fleet that rolls compression out.
const SETTINGS: [Setting; 4] = [
    |builder| builder,
    |builder| builder.compression(Compression::lz4()),
    |builder| builder.compression(Compression::zstd(1)),
    |builder| builder.compression(Compression::zstd(19).above(1)),
];

/// Lengths of a value that stays as it is, of a small one, and of entries that travel as large ones, compressed and not.
const LENGTHS: [u64; 4] = [900, 10_000, 100_000, 400_000];

/// Killed by: a length of an entry that is taken from the header of a compressed one; a number that a reader does not know;
/// a length before compression of which the header counts (a fleet of this one alone would not notice).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_with_different_settings_read_each_others_entries() {
    let fleet = Fleet::start();
    let mut id = 0;
    for length in LENGTHS {
        for writes in SETTINGS {
            id += 1;
            fleet.database.set_version(id, length).await;
            let writer = fleet.shop_with(writes).await;
            assert_eq!(writer.digits(id).await, digits(length));
            for reads in SETTINGS {
                let reader = fleet.shop_with(reads).await;
                assert_eq!(reader.digits(id).await, digits(length));
                // Again, by a process that expects a value of this size.
                assert_eq!(reader.digits_entry(id).get().await, Some(digits(length)));
                let stats = reader.cache.stats();
                assert_eq!((stats.loads, stats.undecodable, stats.redis_errors), (0, 0, 0), "{length}");
            }
            assert_eq!(fleet.database.loads(id).await, 1, "{length}");
        }
    }
    fleet.leaves_no_trace().await;
}

/// Killed by: a function's setting that is not asked; a put that is not packed; a threshold that is not asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_is_as_the_settings_say() {
    let fleet = Fleet::start();
    for (setting, number) in SETTINGS.into_iter().zip([0, 1, 2, 2]) {
        let shop = fleet.shop_with(setting).await;
        shop.cache.clear().await.unwrap();
        fleet.database.set_version(1, 10_000).await;
        assert_eq!(shop.digits(1).await.len(), 10_000);
        let loaded = fleet.entry("digits", 1);
        shop.digits_entry(1).put(digits(20_000)).await.unwrap();
        let put = fleet.entry("digits", 1);
        for (entry, length) in [(&loaded, 10_000), (&put, 20_000)] {
            assert_eq!(entry[COMPRESSION], number);
            // With the marker of a text.
            assert_eq!(u32::from_le_bytes(entry[LENGTH..LENGTH + 4].try_into().unwrap()), length + 3);
            let bytes = HEADER + 16 * usize::from(entry[STAMPS]) + length as usize + 3;
            let expected = if number == 0 { bytes..=bytes } else { bytes / 10..=bytes * 2 / 3 };
            assert!(expected.contains(&entry.len()), "{number}: {} of {bytes}", entry.len());
        }
        assert_eq!(shop.plain(1).await.len(), 10_000);
        assert_eq!(fleet.entry("plain", 1)[COMPRESSION], 0);
    }
}

/// Killed by: a limit of the function that is not asked, or that is asked after compression; one that raises the cache's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_keeps_its_long_values_in_memory() {
    let fleet = Fleet::start();
    let packed = |builder: Builder| builder.compression(Compression::lz4());
    for (id, (length, setting, is_shared)) in (0..).zip([
        (1_900, packed as Setting, true),
        (2_048, packed, false),
        (1_900, |builder| builder.value_limit(1_000), false),
    ]) {
        fleet.database.set_version(id, length).await;
        let shop = fleet.shop_with(setting).await;
        assert_eq!(shop.bounded(id).await, digits(length));
        assert_eq!(shop.bounded(id).await, digits(length));
        assert_eq!(fleet.has_entry("bounded", id), is_shared, "{length}");
        assert_eq!(shop.cache.stats().unsendable, u64::from(!is_shared));
        assert_eq!(fleet.database.loads(id).await, 1);
    }
}

/// Memory has the decoded values. Killed by: weighing what is in Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_weigh_in_memory_what_they_are_before_compression() {
    let fleet = Fleet::start();
    let small = |builder: Builder| builder.compression(Compression::lz4()).memory(Memory::bytes(1 << 20));
    let (writer, reader) = (fleet.shop_with(small).await, fleet.shop_with(small).await);
    for id in 0..40 {
        fleet.database.set_version(id, 100_000).await;
        // All of them the same letter: a hundredth is left.
        writer.text(id).await;
        reader.text(id).await;
    }
    assert_eq!(reader.cache.stats().loads, 0);
    for shop in [writer, reader] {
        assert!((1..=11).contains(&shop.cache.memory_entries()), "{}", shop.cache.memory_entries());
    }
}

/// What an older release, or another build, does not know is a miss for it. It loads once, and what it stores is read by all: the two do
/// not take turns. Killed by: an entry that an older reader wrote and a newer one does not take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_knows_less_loads_once_for_all() {
    let fleet = Fleet::start();
    fleet.database.set_version(1, 10_000).await;
    let newer: Setting = |builder| builder.compression(Compression::lz4());
    fleet.shop_with(newer).await.digits(1).await;
    // To this release it is what one of LZ4 is to the last one.
    fleet.set_entry("digits", 1, &with_byte(&fleet.entry("digits", 1), COMPRESSION, 3));
    let older = fleet.shop().await;
    for _ in 0..3 {
        assert_eq!(older.digits(1).await, digits(10_000));
    }
    assert_eq!((older.cache.stats().undecodable, older.cache.stats().loads), (1, 1));
    for setting in [newer, |builder| builder] {
        for _ in 0..3 {
            let other = fleet.shop_with(setting).await;
            assert_eq!(other.digits(1).await, digits(10_000));
            assert_eq!(other.cache.stats().undecodable, 0);
        }
    }
    assert_eq!(fleet.database.loads(1).await, 2);
}

/// With checksums that are right. Each is a miss, counted, and overwritten by what is loaded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_lengths_and_bombs_are_misses() {
    let fleet = Fleet::start();
    let packed: Setting = |builder| builder.compression(Compression::lz4());
    let writer = fleet.shop_with(packed).await;
    fleet.database.set_version(1, 10_000).await;
    writer.digits(1).await;
    let entry = fleet.entry("digits", 1);
    let payload = &entry[HEADER + 16 * usize::from(entry[STAMPS])..];
    let bomb = [&[0x1f, 0, 1, 0][..], &[255; 4000]].concat();
    let large = [&[0x1f, 0, 1, 0][..], &[255; 100_000]].concat();
    let zeros = zstd::bulk::compress(&vec![0; 900_000], 1).unwrap();
    let mut cases = Vec::new();
    for length in [0, 1, 9_999, 10_002, 10_004, 1 << 20, (1 << 20) + 1, u32::MAX] {
        cases.push(with_compressed(&entry, 1, length, payload));
        cases.push(with_compressed(&entry, 2, length, payload));
        cases.push(with_compressed(&entry, 1, length, &bomb));
        cases.push(with_compressed(&entry, 1, length, &large));
        cases.push(with_compressed(&entry, 2, length, &zeros));
        cases.push(with_compressed(&entry, 1, length, b""));
    }
    // What is decompressed in order is no text.
    cases.push(with_compressed(&entry, 2, 900_000, &zeros));
    for cut in [1, payload.len() / 2, payload.len() - 1] {
        cases.push(with_compressed(&entry, 1, 10_003, &payload[..payload.len() - cut]));
    }
    for place in (0..payload.len()).step_by(97) {
        let mut damaged = payload.to_vec();
        // A token or an offset: another text would be a valid one.
        damaged[place] ^= 0x80;
        cases.push(with_compressed(&entry, 1, 10_002, &damaged));
    }
    for (nth, case) in cases.iter().enumerate() {
        fleet.set_entry("digits", 1, case);
        let (peeker, reader) = (fleet.shop_with(packed).await, fleet.shop_with(packed).await);
        assert_eq!(peeker.digits_entry(1).get().await, None, "{nth}: {:02x?}", &case[..100]);
        assert_eq!(reader.digits(1).await, digits(10_000), "{nth}");
        for shop in [peeker, reader] {
            let stats = shop.cache.stats();
            assert_eq!((stats.undecodable, stats.redis_errors), (1, 0), "{nth}");
        }
        assert_eq!(fleet.entry("digits", 1).len(), entry.len(), "{nth}: it takes the place");
    }
    assert_eq!(fleet.database.loads(1).await, 1 + cases.len() as u64);
}
