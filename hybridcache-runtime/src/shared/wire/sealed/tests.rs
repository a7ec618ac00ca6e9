use smallvec::smallvec;

use super::*;
use crate::shared::wire::compression::Compression;
use crate::shared::wire::envelope::{self, Draft, Header, Kind, Undecodable};
use crate::shared::wire::packing::Packing;

const NAME: &str = "hc2:{shop:1f}:user@0:7:e";
const KEY: [u8; 16] = [9; 16];
const LIMIT: usize = 1 << 20;

fn header() -> Header {
    // Each time with room for a flipped bit between its neighbours.
    Header { loaded_at: 1 << 20, fresh_until: 1 << 30, expires_at: 1 << 40, length: 0, key: KEY, ..Header::sample() }
}

fn ring(ids: &[u32], primary: u32) -> Keyring {
    let ring = ids.iter().fold(Keyring::new(), |ring, id| ring.key(*id, [*id as u8; 32]).expect("a key"));
    ring.primary(primary).expect("a primary key")
}

fn packing(keyring: Keyring) -> Packing {
    Packing { compression: Compression::lz4().above(100), keyring: Some(keyring) }
}

fn sealed_with(packing: &Packing, kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut draft = Draft::new(&header());
    draft.bytes_mut().extend_from_slice(payload);
    draft.encoded(kind);
    packing.pack(NAME, &mut draft).expect("sealed");
    draft.finish()
}

fn sealed(payload: &[u8]) -> Vec<u8> {
    sealed_with(&packing(ring(&[1], 1)), Kind::Value, payload)
}

/// As a read of the entry with this name and key does.
fn read_at(name: &str, key: &[u8; 16], packing: &Packing, bytes: &[u8]) -> Result<(Header, Vec<u8>), Undecodable> {
    let (header, _) = envelope::decode_for(key, bytes)?;
    packing.check(&header, LIMIT)?;
    let payload = packing.unpack(name, &header, bytes)?.into_owned();
    Ok((header, payload))
}

fn read(packing: &Packing, bytes: &[u8]) -> Result<Vec<u8>, Undecodable> {
    read_at(NAME, &KEY, packing, bytes).map(|(_, payload)| payload)
}

/// With a checksum that is right: anybody can make one.
fn resummed(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[5..60]), &bytes[64..]);
    bytes[60..64].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

const LONG: [u8; 300] = [b'x'; 300];

#[test]
fn what_is_sealed_is_opened() {
    let packing = packing(ring(&[1], 1));
    for payload in [&b"payload"[..], b"", &LONG] {
        let bytes = sealed(payload);
        assert_eq!(read(&packing, &bytes).as_deref(), Ok(payload));
        assert!(payload.is_empty() || !bytes.windows(payload.len()).any(|window| window == payload));
        assert_ne!(bytes, sealed(payload), "each has its own nonce");
    }
    assert_eq!(sealed(b"payload").len(), 80 + 2 * 16 + 4 + 12 + 7 + 16);
    // Compressed before it was sealed: the other way round nothing would be saved.
    assert!(sealed(&LONG).len() < 200);
    let none = sealed_with(&packing, Kind::None, b"");
    assert_eq!(
        read_at(NAME, &KEY, &packing, &none).map(|(header, payload)| (header.kind, payload)),
        Ok((Kind::None, vec![]))
    );
}

/// The checksum is made right each time. Killed by: any of these left out of the associated data: bytes 5 to 7, flags, number of stamps, cost, fence,
/// times, stamps; a length that is not compared with what was opened.
#[test]
fn any_flipped_bit_is_a_miss_but_the_mark_of_expiry() {
    let packing = packing(ring(&[1, 0x81], 1));
    for payload in [&b"payload"[..], &LONG, b""] {
        let kind = if payload.is_empty() { Kind::None } else { Kind::Value };
        let valid = sealed_with(&packing, kind, payload);
        for bit in 0..8 * valid.len() {
            let mut flipped = valid.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if bit == 8 * 4 {
                assert!(read(&packing, &flipped).is_ok());
                continue;
            }
            assert!(read(&packing, &flipped).is_err(), "bit {bit}");
            if !(60..64).contains(&(bit / 8)) {
                assert!(read(&packing, &resummed(flipped)).is_err(), "bit {bit}, with its checksum");
            }
        }
    }
}

/// Killed by: a seal without the name.
#[test]
fn an_entry_at_another_name_is_a_miss() {
    let packing = packing(ring(&[1], 1));
    let mut bytes = sealed(b"payload");
    let other: [u8; 16] = [8; 16];
    bytes[64..80].copy_from_slice(&other);
    let moved = resummed(bytes);
    // Other arguments, another version, function, namespace; a part of the name; and one that goes on where the header begins.
    for name in [
        "hc2:{shop:1f}:user@0:8:e",
        "hc2:{shop:1f}:user@1:7:e",
        "hc2:{shop:1f}:item@0:7:e",
        "hc2:{stop:1f}:user@0:7:e",
        "hc2:{shop:1f}:user@0:7:",
        "",
    ] {
        assert_eq!(read_at(name, &other, &packing, &moved).map(drop), Err(Undecodable::Altered), "{name}");
    }
    assert!(read_at(NAME, &other, &packing, &moved).is_ok(), "it is the name that differs");
}

/// A payload under the times, stamps or fence of another one of the same key. Killed by: a seal over the payload alone.
#[test]
fn two_entries_of_one_key_cannot_be_mixed() {
    let packing = packing(ring(&[1], 1));
    let later = Header { fence: [8; 16], fresh_until: 1 << 31, stamps: smallvec![(1, 5), (3, 4)], ..header() };
    let mut draft = Draft::new(&later);
    draft.bytes_mut().extend_from_slice(b"another");
    draft.encoded(Kind::Value);
    packing.pack(NAME, &mut draft).expect("sealed");
    let (earlier, later) = (sealed(b"payload"), draft.finish());
    for part in [16..32, 40..48, 80..112, 112..earlier.len()] {
        let mut mixed = earlier.clone();
        mixed[part.clone()].copy_from_slice(&later[part.clone()]);
        assert_eq!(read(&packing, &resummed(mixed)), Err(Undecodable::Altered), "{part:?}");
    }
}

/// Killed by: plaintext that is served where there is a keyring; a seal that is taken off without a keyring.
#[test]
fn plaintext_is_a_miss_under_a_keyring_and_the_other_way_round() {
    let plain = Packing { compression: Compression::none(), keyring: None };
    let sealing = packing(ring(&[1], 1));
    let (open, closed) = (sealed_with(&plain, Kind::Value, b"payload"), sealed(b"payload"));
    assert_eq!(read(&plain, &open).as_deref(), Ok(&b"payload"[..]));
    assert_eq!(read(&sealing, &open), Err(Undecodable::NotSealed));
    assert_eq!(read(&plain, &closed), Err(Undecodable::NoKeyring));
    let none = sealed_with(&plain, Kind::None, b"");
    assert_eq!(read(&sealing, &none), Err(Undecodable::NotSealed));
}

/// Killed by: opening with the primary key whatever the entry says.
#[test]
fn keys_are_rotated_without_a_miss() {
    let steps = [ring(&[1], 1), ring(&[1, 2], 1), ring(&[1, 2], 2), ring(&[2], 2)].map(packing);
    let entries = [0, 1, 2, 3].map(|step: usize| sealed_with(&steps[step], Kind::Value, b"payload"));
    for (reader, packing) in steps.iter().enumerate() {
        for (writer, entry) in entries.iter().enumerate() {
            let known = [&[1][..], &[1, 2], &[1, 2], &[2]][reader];
            let key = [1, 1, 2, 2][writer];
            let expected =
                if known.contains(&key) { Ok(b"payload".to_vec()) } else { Err(Undecodable::UnknownKey(key)) };
            assert_eq!(read(packing, entry), expected, "{reader} reads {writer}");
            let (header, _) = envelope::decode(entry).expect("an entry");
            let primary = [1, 1, 2, 2][reader];
            assert_eq!(packing.is_old(&header, entry), key != primary, "{reader} reads {writer}");
        }
    }
    // The same id, another key.
    let wrong = Keyring::new().key(1, [7; 32]).and_then(|ring| ring.primary(1)).expect("a ring");
    assert_eq!(read(&self::packing(wrong), &entries[0]), Err(Undecodable::Altered));
}

#[test]
fn settings_that_cannot_be_used_are_errors_that_name_the_setting() {
    for (ring, expected) in [
        (Keyring::new().key(7, [0; 31]), "key 7 has 31 bytes instead of 32"),
        (Keyring::new().key(7, vec![0; 33]), "key 7 has 33 bytes instead of 32"),
        (Keyring::new().key(7, [0; 32]).and_then(|ring| ring.key(7, [1; 32])), "two keys have the id 7"),
        (Keyring::new().key(7, [0; 32]).and_then(|ring| ring.primary(8)), "the primary key 8 is not in the ring"),
    ] {
        let error = ring.expect_err(expected);
        assert!(error.is_config() && error.to_string().contains(expected), "{error}");
        assert!(error.to_string().starts_with("encryption: "), "{error}");
    }
    let error = Keyring::new().key(7, [0; 32]).expect("a key").check().expect_err("no primary key");
    assert!(error.to_string().starts_with("encryption: the ring has no primary key"), "{error}");
}

/// Killed by: a derived `Debug`.
#[test]
fn keys_are_not_shown() {
    let ring = Keyring::new().key(5, [0xab; 32]).and_then(|ring| ring.primary(5)).expect("a ring");
    let shown = format!("{ring:?} {:?}", packing(ring.clone()));
    assert!(shown.contains("ids: [5]") && !shown.contains("171") && !shown.contains("ab, "), "{shown}");
}

#[test]
fn an_entry_cut_at_any_length_is_a_miss() {
    let packing = packing(ring(&[1], 1));
    let valid = sealed(b"payload");
    for length in 0..valid.len() {
        assert!(read(&packing, &valid[..length]).is_err());
        if length >= 112 {
            assert!(read(&packing, &resummed(valid[..length].to_vec())).is_err(), "{length}");
        }
    }
}
