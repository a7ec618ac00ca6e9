use proptest::prelude::*;
use smallvec::smallvec;

use super::*;

fn header() -> Header {
    Header::sample()
}

/// The envelope of `header`, with the bytes at `at` replaced and the checksum corrected.
fn altered(header: &Header, at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut envelope = encode(header, b"payload");
    envelope[at..at + bytes.len()].copy_from_slice(bytes);
    reseal(&mut envelope);
    envelope
}

fn reseal(envelope: &mut [u8]) {
    let checksum = checksum(envelope);
    envelope[CHECKSUM_AT..KEY_AT].copy_from_slice(&checksum.to_le_bytes());
}

fn trouble(envelope: &[u8]) -> Undecodable {
    decode(envelope).map(|(header, _)| header).expect_err("must not be decodable")
}

#[test]
fn what_is_encoded_is_decoded() {
    let envelope = encode(&header(), b"payload");
    assert_eq!(envelope.len(), 80 + 2 * 16 + 7);
    assert_eq!(decode(&envelope), Ok((header(), &b"payload"[..])));
}

#[test]
fn a_payload_can_be_written_in_place() {
    let mut draft = Draft::new(&Header { length: 99, compression: ZSTD, ..header() });
    draft.bytes_mut().extend_from_slice(b"payload");
    assert_eq!(draft.payload(), b"payload");
    draft.encoded(Kind::Value);
    assert_eq!(draft.finish(), encode(&header(), b"payload"));
    let mut none = Draft::new(&header());
    none.encoded(Kind::None);
    assert_eq!(decode(&none.finish()), Ok((Header { kind: Kind::None, length: 0, ..header() }, &b""[..])));
}

/// Killed by: the length behind the compression in the header; a compressed payload that has to have it.
#[test]
fn the_length_is_that_before_compression() {
    let mut draft = Draft::new(&header());
    draft.bytes_mut().extend_from_slice(b"payload");
    draft.encoded(Kind::Value);
    draft.compressed(LZ4, b"short");
    let envelope = draft.finish();
    let compressed = Header { compression: LZ4, ..header() };
    assert_eq!(decode(&envelope), Ok((compressed.clone(), &b"short"[..])));
    assert_eq!(envelope, encode(&compressed, b"short"));
}

/// Killed by: a compressed payload of any length.
#[test]
fn a_compressed_payload_is_shorter_than_before() {
    for compression in [LZ4, ZSTD] {
        for (length, is_good) in [(7, false), (8, true), (6, false), (0, false), (u32::MAX, true)] {
            let envelope = encode(&Header { compression, length, ..header() }, b"payload");
            assert_eq!(decode(&envelope).is_ok(), is_good, "{length}");
        }
    }
}

/// Killed by: taking the length of a compressed entry for that of its bytes without a limit.
#[test]
fn the_size_of_an_entry_is_bounded_by_its_first_bytes() {
    let of = |compression, length, limit| {
        size_at_most(&encode(&Header { compression, length, ..header() }, b"payload")[..90], limit)
    };
    assert_eq!(of(UNCOMPRESSED, 7, 0), Some(80 + 32 + 7));
    assert_eq!(of(LZ4, 1000, 1000), Some(80 + 32 + 1000));
    assert_eq!(of(LZ4, 1001, 1000), None);
    assert_eq!(size_at_most(b"something else", 1000), None);
}

/// Killed by: leaving the header or the stamps out of the checksum; taking any value of byte 4.
#[test]
fn every_flipped_bit_is_noticed_but_the_mark_of_expiry() {
    let envelope = encode(&header(), b"payload");
    for bit in 0..8 * envelope.len() {
        let mut flipped = envelope.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let expected = (bit == 8 * MUTABLE_AT).then(|| Header { expired_by_hand: true, ..header() });
        assert_eq!(decode(&flipped).map(|(header, _)| header).ok(), expected, "bit {bit}");
    }
}

/// Killed by: a key that is not compared.
#[test]
fn an_entry_of_another_key_is_refused() {
    let envelope = encode(&header(), b"payload");
    assert_eq!(decode_for(&[9; 16], &envelope), Ok((header(), &b"payload"[..])));
    for bit in 0..128 {
        let mut key = [9; 16];
        key[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(decode_for(&key, &envelope), Err(Undecodable::Key), "bit {bit}");
    }
}

/// As the scripts mark it. Killed by: taking byte 4 into the checksum.
#[test]
fn the_mark_of_expiry_is_set_in_place() {
    let mut envelope = encode(&header(), b"payload");
    envelope[4] = 1;
    assert_eq!(envelope, encode(&Header { expired_by_hand: true, ..header() }, b"payload"));
    assert!(decode(&envelope).is_ok());
}

/// Killed by: accepting what is longer than it says.
#[test]
fn every_other_length_is_noticed() {
    let envelope = encode(&header(), b"payload");
    for length in 0..envelope.len() {
        assert!(decode(&envelope[..length]).is_err(), "{length}");
    }
    for more in [1, 16, 64] {
        let mut longer = envelope.clone();
        longer.resize(envelope.len() + more, 0);
        reseal(&mut longer);
        assert_eq!(trouble(&longer), Undecodable::Length);
    }
    assert_eq!(trouble(&envelope[..3]), Undecodable::Foreign);
    assert_eq!(trouble(&envelope[..79]), Undecodable::Length);
}

/// The checksum is right, so the meaning is refused.
#[test]
fn what_is_not_known_is_refused() {
    assert_eq!(trouble(b""), Undecodable::Foreign);
    assert_eq!(trouble(&altered(&header(), 0, b"{")), Undecodable::Foreign);
    assert_eq!(trouble(&altered(&header(), 3, &[1])), Undecodable::Format(1));
    assert_eq!(trouble(&altered(&header(), 4, &[2])), Undecodable::Mutable(2));
    assert_eq!(trouble(&altered(&header(), 5, &[0])), Undecodable::Codec(0));
    assert_eq!(trouble(&altered(&header(), 6, &[3])), Undecodable::Compression(3));
    assert_eq!(trouble(&altered(&header(), 7, &[0])), Undecodable::Kind(0));
    assert_eq!(trouble(&altered(&header(), 9, &[0x80])), Undecodable::Flags(0x8000));
    assert_eq!(trouble(&altered(&header(), 7, &[2])), Undecodable::Payload);
    let hinted = altered(&header(), 8, &[0xff]);
    assert_eq!(decode(&hinted).map(|(header, _)| header.flags), Ok(0x00ff));
}

#[test]
fn times_that_cannot_be_are_refused() {
    let times = |loaded_at, fresh_until, expires_at| {
        let header = Header { loaded_at, fresh_until, expires_at, length: 0, ..header() };
        decode(&encode(&header, b"")).map(|(decoded, _)| assert_eq!(decoded, header))
    };
    let end = i64::MAX as u64;
    assert_eq!(times(5, 5, 5), Ok(()));
    assert_eq!(times(0, end, end), Ok(()));
    assert_eq!(times(6, 5, 7), Err(Undecodable::Times));
    assert_eq!(times(5, 7, 6), Err(Undecodable::Times));
    assert_eq!(times(5, 6, end + 1), Err(Undecodable::Times));
}

/// Killed by: allocating for the stamps before the length was compared.
#[test]
fn stamps_must_be_there() {
    for stamps in [1_u16, 3, u16::MAX] {
        assert_eq!(trouble(&altered(&header(), 10, &stamps.to_le_bytes())), Undecodable::Length);
    }
    let none = Header { stamps: smallvec![], length: 1, ..header() };
    assert_eq!(decode(&encode(&none, b"p")), Ok((none, &b"p"[..])));
    let many = Header { stamps: smallvec![(1, 2); usize::from(u16::MAX) + 1], ..header() };
    assert_eq!(trouble(&encode(&many, b"p")), Undecodable::Length);
}

fn any_header() -> impl Strategy<Value = Header> {
    let times = any::<[u64; 3]>().prop_map(|times| {
        let mut times = times.map(|time| time >> 1);
        times.sort_unstable();
        times
    });
    let stamps = proptest::collection::vec(any::<(u64, u64)>(), 0..5);
    (any::<bool>(), any::<u8>(), any::<u32>(), any::<[u8; 16]>(), times, stamps).prop_map(
        |(expired_by_hand, hints, cost_ms, fence, [loaded_at, fresh_until, expires_at], stamps)| Header {
            expired_by_hand,
            flags: u16::from(hints),
            cost_ms,
            fence,
            loaded_at,
            fresh_until,
            expires_at,
            stamps: stamps.into(),
            ..header()
        },
    )
}

/// Bytes that decode are the bytes that the encoder writes: there is one envelope for a header and a payload.
fn assert_canonical(bytes: &[u8]) {
    if let Ok((header, payload)) = decode(bytes) {
        assert_eq!(encode(&header, payload), bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_header_survives(header in any_header(), payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        let header = Header { length: u32::try_from(payload.len()).expect("short"), ..header };
        let envelope = encode(&header, &payload);
        prop_assert_eq!(decode(&envelope), Ok((header, &payload[..])));
    }

    #[test]
    fn random_bytes_are_no_envelope(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(decode(&bytes).is_err());
        let mut in_disguise = [&FORMAT[..], &bytes].concat();
        assert_canonical(&in_disguise);
        if in_disguise.len() >= STAMPS_AT {
            reseal(&mut in_disguise);
            assert_canonical(&in_disguise);
        }
    }

    /// Gets past the checksum.
    #[test]
    fn a_damaged_header_is_refused_or_read_as_it_stands(
        header in any_header(), at in 4..CHECKSUM_AT, byte in prop_oneof![any::<u8>(), 0_u8..4], more in any::<bool>(),
    ) {
        let mut envelope = encode(&header, b"payload");
        envelope[at] = byte;
        if more {
            envelope.truncate(envelope.len() - 5);
        }
        reseal(&mut envelope);
        assert_canonical(&envelope);
    }
}
