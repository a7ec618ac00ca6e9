//! Whatever stands at a key: it is a miss, or an envelope that reads as it would have been written. Nothing panics,
//! runs over the stack or asks for more memory than the bytes are worth.
#![no_main]

use std::collections::BTreeMap;
use std::fmt::Debug;

use hybridcache_runtime::__private::wire::{Kind, decode, decode_option, decode_value, encode, encode_value};
use libfuzzer_sys::fuzz_target;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

const BEGINNING: [u8; 4] = [0x89, b'H', b'C', 2];

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Wrapped(Box<Tree>),
    Fork(Vec<Tree>),
    Pair(Box<Tree>, Option<Box<Tree>>),
    Named { tree: Box<Tree>, note: String },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    email: Option<String>,
    balance: i128,
    active: bool,
    friends: BTreeMap<i32, Vec<char>>,
}

fuzz_target!(|bytes: &[u8]| {
    assert_canonical(bytes);
    assert_canonical(&sealed(bytes));

    assert_stable::<User>(bytes);
    assert_stable::<Tree>(bytes);
    assert_stable::<(u8, Vec<Option<String>>, [i16; 2])>(bytes);
    let _ = decode_value::<IgnoredAny>(Kind::Value, bytes);
    let _ = decode_option::<()>(Kind::None, bytes);
});

/// There is one envelope for a header and a payload.
fn assert_canonical(bytes: &[u8]) {
    if let Ok((header, payload)) = decode(bytes) {
        assert_eq!(encode(&header, payload), bytes);
    }
}

/// With the beginning and the checksum of an envelope, so that the rest is looked at.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut sealed = [&BEGINNING[..], bytes].concat();
    if sealed.len() >= 64 {
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&sealed[5..60]), &sealed[64..]);
        sealed[60..64].copy_from_slice(&checksum.to_le_bytes());
    }
    sealed
}

/// A value that was read ends where the bytes do, can be written, and is read as the same.
fn assert_stable<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(value) = decode_value::<T>(Kind::Value, bytes) else { return };
    assert!(decode_value::<T>(Kind::Value, &[bytes, b"\0"].concat()).is_err());
    let mut again = Vec::new();
    let kind = encode_value(&value, &mut again).expect("what was read can be written");
    assert_eq!(decode_value::<T>(kind, &again).expect("what was written can be read"), value);
}
