use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1 << 20;

fn algorithms() -> Vec<Compression> {
    vec![
        #[cfg(feature = "lz4")]
        Compression::lz4(),
        #[cfg(feature = "zstd")]
        Compression::zstd(1),
    ]
}

fn header(compression: u8, length: usize) -> Header {
    Header { compression, length: u32::try_from(length).expect("a length"), ..Header::sample() }
}

fn unpack(compression: u8, length: usize, payload: &[u8]) -> Result<Vec<u8>, Undecodable> {
    let header = header(compression, length);
    check_length(&header, LIMIT)?;
    decompress(&header, payload).map(Cow::into_owned)
}

fn text(length: usize) -> Vec<u8> {
    (0..).flat_map(|n: u32| format!("{{\"id\":{n},\"name\":\"item {n}\"}},").into_bytes()).take(length).collect()
}

fn random(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..length).map(|_| random.u8(..)).collect()
}

/// Killed by: a threshold that is not asked; one that counts as below itself; storing what saves nothing.
#[test]
fn only_what_is_long_enough_and_saves_an_eighth_is_compressed() {
    for compression in algorithms() {
        assert_eq!(compression.compress(&text(1024)), None);
        assert!(compression.compress(&text(1025)).is_some());
        assert_eq!(compression.above(5000).compress(&text(5000)), None);
        assert_eq!(compression.compress(&random(100_000)), None, "{compression:?}");
        // Just under an eighth of it is zeros, and a little more.
        let (too_few, enough) = ([random(8000), vec![0; 900]].concat(), [random(8000), vec![0; 1300]].concat());
        assert_eq!(compression.compress(&too_few), None, "{compression:?}");
        assert!(compression.compress(&enough).is_some(), "{compression:?}");
    }
    assert_eq!(Compression::none().compress(&text(100_000)), None);
}

/// Killed by: taking what comes out, whatever its length; a buffer that grows.
#[test]
fn what_comes_out_has_the_length_that_the_header_says() {
    for compression in algorithms() {
        let value = text(3000);
        let (number, payload) = compression.compress(&value).expect("it saves much");
        assert_eq!(unpack(number, 3000, &payload), Ok(value));
        for length in [0, 1, 2999, 3001, 100_000, LIMIT] {
            assert_eq!(unpack(number, length, &payload), Err(Undecodable::Compressed), "{compression:?} {length}");
        }
    }
}

/// Killed by: a limit that is not asked, or asked after the bytes are there.
#[test]
fn a_length_over_the_limit_is_refused_before_anything_is_allocated() {
    for compression in algorithms() {
        let (number, payload) = compression.compress(&vec![0; LIMIT + 1]).expect("zeros");
        for length in [LIMIT + 1, u32::MAX as usize] {
            assert_eq!(unpack(number, length, &payload), Err(Undecodable::TooLarge));
        }
        assert!(unpack(number, LIMIT, &payload).is_err());
        let (number, payload) = compression.compress(&vec![0; LIMIT]).expect("zeros");
        assert_eq!(unpack(number, LIMIT, &payload), Ok(vec![0; LIMIT]));
    }
    // Not one that was never compressed: its bytes are there already.
    assert_eq!(unpack(UNCOMPRESSED, LIMIT + 1, b"abc"), Ok(b"abc".to_vec()));
}

/// Decompressing them would fail too, after a megabyte was allocated. Killed by: a ratio that is not asked, or that refuses zeros.
#[cfg(feature = "lz4")]
#[test]
fn a_few_bytes_do_not_claim_a_megabyte() {
    let bomb = [0x1f, 0, 1, 0, 255, 255, 255];
    assert!(!lz4_can_give(LIMIT, bomb.len()));
    assert_eq!(unpack(LZ4, LIMIT, &bomb), Err(Undecodable::Compressed));
    let (_, zeros) = Compression::lz4().compress(&vec![0; LIMIT]).expect("zeros");
    assert!(lz4_can_give(LIMIT, zeros.len()));
}

/// A byte behind a frame, two frames, and a frame that does not say how long it is. Killed by: reading what the first
/// bytes are alone.
#[cfg(feature = "zstd")]
#[test]
fn a_frame_is_the_whole_payload() {
    let value = text(3000);
    let (_, payload) = Compression::zstd(3).compress(&value).expect("it saves much");
    assert_eq!(unpack(ZSTD, 3000, &[&payload[..], b"\0"].concat()), Err(Undecodable::Compressed));
    assert_eq!(unpack(ZSTD, 6000, &[&payload[..], &payload].concat()), Err(Undecodable::Compressed));
    let skipped = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
    assert_eq!(unpack(ZSTD, 3000, &[&skipped[..], &payload].concat()), Err(Undecodable::Compressed));
    assert_eq!(unpack(ZSTD, 3000, &[&payload[..], &skipped].concat()), Err(Undecodable::Compressed));
    assert_eq!(unpack(ZSTD, 3000, &payload[..payload.len() - 1]), Err(Undecodable::Compressed));
}

#[test]
fn what_this_build_cannot_undo_is_refused() {
    assert_eq!(unpack(3, 10, b"abc"), Err(Undecodable::Compression(3)));
}

#[test]
fn settings_that_cannot_be_used_have_a_problem() {
    for compression in algorithms() {
        assert!(compression.above(0).problem().is_some_and(|problem| problem.contains("above")));
        assert_eq!(compression.above(1).problem(), None);
    }
    #[cfg(feature = "zstd")]
    for (level, is_good) in [(-1, false), (0, false), (1, true), (22, true), (23, false)] {
        assert_eq!(Compression::zstd(level).problem().is_none(), is_good, "{level}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_compressed_comes_back(seed in any::<u64>(), words in 1_usize..40, length in 1025_usize..200_000) {
        let mut random = fastrand::Rng::with_seed(seed);
        let value: Vec<u8> = (0..length).map(|_| random.usize(..words) as u8).collect();
        for compression in algorithms() {
            if let Some((number, payload)) = compression.compress(&value) {
                prop_assert!(payload.len() < value.len());
                prop_assert_eq!(unpack(number, length, &payload), Ok(value.clone()));
            }
        }
    }

    /// Nothing panics, and nothing longer than the header says comes out.
    #[test]
    fn damaged_bytes_are_refused_or_have_their_length(
        seed in any::<u64>(), damages in 1_usize..10, cut in 0_usize..3000, length in 0_usize..10_000,
    ) {
        let mut random = fastrand::Rng::with_seed(seed);
        for compression in algorithms() {
            let (number, mut payload) = compression.compress(&text(3000)).expect("it saves much");
            for _ in 0..damages {
                let at = random.usize(..payload.len());
                payload[at] = random.u8(..);
            }
            payload.truncate(payload.len().saturating_sub(cut / 2).max(1));
            for length in [length, 3000] {
                if let Ok(value) = unpack(number, length, &payload) {
                    prop_assert_eq!(value.len(), length);
                }
            }
        }
    }

    #[test]
    fn random_bytes_are_refused_or_have_their_length(
        payload in proptest::collection::vec(any::<u8>(), 0..300), length in 0_usize..100_000,
    ) {
        for number in [LZ4_NUMBER, ZSTD_NUMBER] {
            if let Ok(value) = unpack(number, length, &payload) {
                prop_assert_eq!(value.len(), length);
            }
        }
    }
}

const LZ4_NUMBER: u8 = 1;
const ZSTD_NUMBER: u8 = 2;
