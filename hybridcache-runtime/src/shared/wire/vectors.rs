//! The wire format against `tests/wire/vectors.json`, which was computed without this crate.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use crate::key::placeholder::{Placeholder, WritePlain as _};
use crate::key::{CacheKey, KeyBuf};
use crate::shared::wire::codec::{Kind, decode_option, decode_value, encode_option, encode_value};
use crate::shared::wire::envelope::{self, Header, Undecodable};
use crate::shared::wire::names::{self, Address, group_of, groups, invalidation_channel, wake_prefix};
use crate::shared::wire::packing::Packing;
use crate::shared::{StampName, Token};

/// The vectors of a section: at least one.
fn vectors(section: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../../../../tests/wire/vectors.json")).expect("valid JSON");
    let vectors = all[section]["vectors"].as_array().expect(section).clone();
    assert!(!vectors.is_empty(), "{section}");
    vectors
}

fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector[field].as_str().unwrap_or_else(|| panic!("no {field} in {vector}"))
}

fn number(vector: &Value, field: &str) -> u64 {
    vector[field].as_u64().unwrap_or_else(|| panic!("no {field} in {vector}"))
}

/// 16 hex digits.
fn id(vector: &Value, field: &str) -> u64 {
    u64::from_str_radix(text(vector, field), 16).expect(field)
}

fn bytes(vector: &Value, field: &str) -> Vec<u8> {
    HEXLOWER.decode(text(vector, field).as_bytes()).expect(field)
}

fn key_of<T: CacheKey>(value: T) -> String {
    let mut key = KeyBuf::new();
    value.write_key(&mut key);
    key.as_str().to_owned()
}

/// A name as it appears in an entry's name: between the bucket and the version.
fn shown_name(name: &str) -> String {
    let entry = Address::new("", name, 0, "").entry().to_owned();
    let (_, behind) = entry.split_once("}:").expect("a bucket");
    behind.split_once('@').expect("a version").0.to_owned()
}

/// A namespace as it appears in a channel's name.
fn shown_namespace(namespace: &str) -> String {
    let channel = invalidation_channel(&names::channels(namespace, 0));
    channel.strip_prefix("hc2:").and_then(|channel| channel.strip_suffix(":inv")).expect("a channel").to_owned()
}

#[test]
fn escapes() {
    for vector in vectors("escapes") {
        let original = text(&vector, "text");
        assert_eq!(key_of(original), text(&vector, "value"));
        let (name, namespace) = (text(&vector, "name"), text(&vector, "namespace"));
        // Longer names are hashed.
        assert!(name.len() > 64 || shown_name(original) == name, "{name}");
        assert!(namespace.len() > 64 || shown_namespace(original) == namespace, "{namespace}");
        // For tags, the macro's escaping of a template's text is undone.
        let mut literal = KeyBuf::new();
        literal.literal(text(&vector, "literal").to_owned().leak());
        assert_eq!(literal.unescaped(), original);
    }
    let ascii: String = (0x20..0x80_u8).map(char::from).collect();
    for vector in vectors("escapes").iter().filter(|vector| text(vector, "text") == ascii) {
        let one_by_one = |shown: fn(&str) -> String| ascii.chars().map(|c| shown(&c.to_string())).collect::<String>();
        assert_eq!(one_by_one(shown_name), text(vector, "name"));
        assert_eq!(one_by_one(shown_namespace), text(vector, "namespace"));
    }
}

struct Place {
    id: u64,
    name: &'static str,
}

enum Shape {
    Point,
    Circle(u8),
    Box { w: u8, h: u8 },
}

/// Both as `#[derive(CacheKey)]` writes them.
impl CacheKey for Place {
    fn write_key(&self, key: &mut KeyBuf) {
        (self.id, self.name).write_key(key);
    }
}

impl CacheKey for Shape {
    fn write_key(&self, key: &mut KeyBuf) {
        match self {
            Self::Point => key.literal("Point"),
            Self::Circle(radius) => {
                key.literal("Circle");
                (radius,).write_key(key);
            }
            Self::Box { w, h } => {
                key.literal("Box");
                (w, h).write_key(key);
            }
        }
    }
}

#[test]
fn cache_keys() {
    let odd = "a b:c@d%e#f{g}h\né€😀";
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let mut ours = HashMap::from([
        ("u64", key_of(7_u64)),
        ("i64 min", key_of(i64::MIN)),
        ("u128 max", key_of(u128::MAX)),
        ("bool", key_of(true)),
        ("char", key_of('é')),
        ("str", key_of(odd)),
        ("empty str", key_of("")),
        ("unit", key_of(())),
        ("none", key_of(None::<u8>)),
        ("some", key_of(Some(7))),
        ("some none", key_of(Some(None::<u8>))),
        ("some dash", key_of(Some("-"))),
        ("tuple of one", key_of((7,))),
        ("tuple", key_of(("a,b", "c"))),
        ("nested tuple", key_of(((1, 2), 3))),
        ("no strings", key_of(Vec::<String>::new())),
        ("one empty string", key_of([""])),
        ("strings", key_of(vec!["a", ""])),
        ("array", key_of([1_i32, 2, 3])),
        ("bytes", key_of([0_u8, 0x0a, 0xff])),
        ("no bytes", key_of(&[] as &[u8])),
        ("options", key_of([None, Some(1)])),
        ("duration", key_of(Duration::from_millis(1500))),
        ("ipv4", key_of(IpAddr::V4(Ipv4Addr::LOCALHOST))),
        ("ipv6", key_of(v6)),
        ("socket v4", key_of(SocketAddr::from((Ipv4Addr::LOCALHOST, 80)))),
        ("socket v6", key_of(SocketAddr::V6(SocketAddrV6::new(v6, 80, 5, 3)))),
        ("struct", key_of(Place { id: 7, name: "x y" })),
        ("unit variant", key_of(Shape::Point)),
        ("tuple variant", key_of(Shape::Circle(3))),
        ("struct variant", key_of(Shape::Box { w: 1, h: 2 })),
    ]);
    for vector in vectors("cache_key") {
        let name = text(&vector, "name");
        assert_eq!(ours.remove(name).as_deref(), Some(text(&vector, "text")), "{name}");
    }
    assert!(ours.is_empty(), "not in the vectors: {ours:?}");
}

/// The macro escapes the text of a template, so here it is taken as it was written.
#[test]
fn templates() {
    for vector in vectors("templates") {
        let mut key = KeyBuf::new();
        for piece in vector["pieces"].as_array().expect("pieces") {
            match piece["value"].as_str() {
                Some(value) => (&&Placeholder(value)).__hc_write(&mut key),
                None => key.literal(text(piece, "written").to_owned().leak()),
            }
        }
        assert_eq!(key.as_str(), text(&vector, "text"));
    }
}

#[test]
fn hashes() {
    for vector in vectors("hash") {
        let parts: Vec<&str> = vector["parts"].as_array().expect("parts").iter().filter_map(Value::as_str).collect();
        assert_eq!(Address::new("any", parts[0], 3, parts[1]).id(), id(&vector, "xxh3_64"));
        assert_eq!(xxh3_64(&bytes(&vector, "bytes")), id(&vector, "xxh3_64"));
    }
}

#[test]
fn hashed_parts() {
    for vector in vectors("hashed_parts") {
        let (original, written) = (text(&vector, "text"), text(&vector, "written"));
        assert_eq!(blake3::hash(original.as_bytes()).as_bytes()[..24], bytes(&vector, "blake3_192"));
        if original.len() > 64 {
            assert_eq!(Address::new("", "", 0, original).readable(), written);
        }
        if original.starts_with('é') {
            assert_eq!(shown_name(original), written);
            assert_eq!(shown_namespace(original), written);
        }
    }
}

#[test]
fn addresses() {
    for vector in vectors("addresses") {
        let version = u32::try_from(number(&vector, "version")).expect("version");
        let address =
            Address::new(text(&vector, "namespace"), text(&vector, "function"), version, text(&vector, "args"));
        let token = &vector["token"];
        let token_bytes = bytes(token, "bytes");
        let token = Token { process: id(token, "process"), attempt: id(token, "attempt") };
        assert_eq!(token.to_bytes()[..], token_bytes);
        assert_eq!(token.digits(), text(&vector["token"], "bytes"));
        let own = wake_prefix(&names::channels(text(&vector, "namespace"), 0)) + &names::digits(token.process);
        assert_eq!(own, text(&vector, "own_channel"));
        assert_eq!(address.id(), id(&vector, "key_id"));
        assert_eq!(address.readable(), text(&vector, "readable"));
        assert_eq!(address.entry(), text(&vector, "entry"));
        let binary = text(&vector, "binary");
        let fingerprint = names::fingerprint(
            text(&vector, "namespace"),
            binary,
            text(&vector, "function"),
            version,
            text(&vector, "args"),
        );
        assert_eq!(fingerprint[..], bytes(&vector, "fingerprint"));
        assert_eq!(address.lease(), text(&vector, "lease"));
        assert_eq!(address.stage(&token), text(&vector, "stage"));
        for other in vector["other_versions"].as_array().expect("versions") {
            let version = u32::try_from(number(other, "version")).expect("a version");
            assert_eq!(address.at_version(version).entry(), text(other, "entry"));
        }
    }
}

#[test]
fn stamps() {
    for vector in vectors("stamps") {
        let (namespace, name) = (text(&vector, "namespace"), text(&vector, "name"));
        let stamp = match text(&vector, "kind") {
            "namespace" => StampName::of_namespace(namespace),
            "function" => StampName::of_function(namespace, name),
            "tag" => StampName::of_tag(namespace, name),
            kind => panic!("{kind}"),
        };
        assert_eq!((&*stamp.key, stamp.hash), (text(&vector, "key"), id(&vector, "hash")));
    }
}

#[test]
fn channels() {
    for vector in vectors("channels") {
        let namespace = text(&vector, "namespace");
        assert_eq!(invalidation_channel(&names::channels(namespace, 0)), text(&vector, "invalidations"));
        assert_eq!(wake_prefix(&names::channels(namespace, 0)), text(&vector, "wake_prefix"));
        let database = &vector["database_7"];
        assert_eq!(invalidation_channel(&names::channels(namespace, 7)), text(database, "invalidations"));
        assert_eq!(wake_prefix(&names::channels(namespace, 7)), text(database, "wake_prefix"));
        let key = Address::new(namespace, "shop::user", 3, "7");
        let stamp = StampName::of_tag(namespace, "org:9");
        for (group, sharded) in [(key.group(), "of_key"), (group_of(&stamp.key), "of_tag")] {
            let sharded = &vector[sharded];
            assert!(groups(namespace).iter().any(|known| known == group), "{group}");
            assert_eq!(invalidation_channel(group), text(sharded, "invalidations"));
            assert_eq!(wake_prefix(group), text(sharded, "wake_prefix"));
        }
    }
}

/// The scripts write and read these leases; `shared/redis/tests/steps.rs` compares what they store.
#[test]
fn leases() {
    for vector in vectors("leases") {
        let token = Token { process: id(&vector["token"], "process"), attempt: id(&vector["token"], "attempt") };
        let mark = if vector["marked"] == true { names::digits(0) } else { String::new() };
        let waiters = vector["waiters"].as_array().expect("waiters").iter();
        let waiters: String = waiters.map(|waiter| waiter.as_str().expect("digits")).collect();
        assert_eq!(token.digits() + &mark + &waiters, text(&vector, "text"));
    }
}

#[test]
fn envelopes() {
    for vector in vectors("envelopes") {
        let description = text(&vector, "description");
        let envelope = bytes(&vector, "bytes");
        let decoded = envelope::decode(&envelope);
        if let Some(error) = vector["error"].as_str() {
            assert_eq!(decoded.map_err(|why| format!("{why:?}")).err().as_deref(), Some(error), "{description}");
            continue;
        }
        let fields = &vector["fields"];
        let (header, payload) = decoded.expect(description);
        assert_eq!(header, header_of(fields), "{description}");
        assert_eq!(payload, bytes(fields, "payload"), "{description}");
        assert_eq!(envelope::encode(&header, payload), envelope, "{description}");
        // The fields that the decoder checks and does not return.
        let raw = fields.get("raw").map_or_else(|| payload.to_vec(), |_| bytes(fields, "raw"));
        assert_eq!(raw.len() as u64, number(fields, "raw_length"), "{description}");
        match packing_of(&vector).unpack(vector["seal"]["name"].as_str().unwrap_or_default(), &header, &envelope) {
            Ok(value) => assert_eq!(*value, raw, "{description}"),
            // A build without the algorithm.
            Err(Undecodable::Compression(number)) => assert_eq!(number, header.compression, "{description}"),
            #[cfg(not(feature = "encryption"))]
            Err(Undecodable::NoKeyring) => {}
            Err(error) => panic!("{description}: {error}"),
        }
        assert_eq!(u64::from(envelope[3]), number(fields, "format"));
        let checksum = u32::from_le_bytes(envelope[60..64].try_into().expect("four bytes"));
        assert_eq!(format!("{checksum:08x}"), text(fields, "crc32c"));
    }
}

/// With the key of a sealed vector.
fn packing_of(vector: &Value) -> Packing {
    #[cfg(feature = "encryption")]
    if let Some(seal) = vector.get("seal") {
        let id = u32::try_from(number(seal, "id")).expect("an id");
        let ring = crate::shared::wire::sealed::Keyring::new().key(id, bytes(seal, "key"));
        return Packing { keyring: Some(ring.expect("a key")), ..Packing::default() };
    }
    let _ = vector;
    Packing::default()
}

fn header_of(fields: &Value) -> Header {
    let small = |field| u8::try_from(number(fields, field)).expect(field);
    let kind = [Kind::Value, Kind::None][usize::from(small("kind")) - 1];
    let stamps = fields["stamps"].as_array().expect("stamps");
    Header {
        expired_by_hand: small("expired_by_hand") == 1,
        codec: small("codec"),
        compression: small("compression"),
        kind,
        flags: u16::try_from(number(fields, "flags")).expect("flags"),
        cost_ms: u32::try_from(number(fields, "cost_ms")).expect("cost"),
        fence: bytes(fields, "fence").try_into().expect("16 bytes"),
        loaded_at: number(fields, "loaded_at"),
        fresh_until: number(fields, "fresh_until"),
        expires_at: number(fields, "expires_at"),
        length: u32::try_from(number(fields, "raw_length")).expect("a length"),
        key: bytes(fields, "key").try_into().expect("16 bytes"),
        stamps: stamps.iter().map(|stamp| (id(stamp, "hash"), id(stamp, "value"))).collect(),
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct User<'a> {
    id: u64,
    name: Cow<'a, str>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Nested<T> {
    level: Option<T>,
}

#[test]
fn payloads() {
    for vector in vectors("payloads") {
        let expected = bytes(&vector, "bytes");
        let kind = [Kind::Value, Kind::None][number(&vector, "kind") as usize - 1];
        let mut ours = Vec::new();
        match text(&vector, "value") {
            "Some(None)" => {
                assert_eq!(encode_option(&Some(None::<u8>), &mut ours).ok(), Some(kind));
                assert_eq!(decode_option::<Option<u8>>(kind, &expected).ok(), Some(Some(None)));
            }
            "None" => {
                assert_eq!(encode_option(&None::<Option<u8>>, &mut ours).ok(), Some(kind));
                assert_eq!(decode_option::<Option<u8>>(kind, &expected).ok(), Some(None));
            }
            "Nested { level: Some(None) }" => {
                let nested = Nested { level: Some(None::<u8>) };
                assert_eq!(encode_value(&nested, &mut ours).ok(), Some(kind));
                assert_eq!(decode_value::<Nested<Option<u8>>>(kind, &expected).ok(), Some(nested));
            }
            "Deeper { level: Some(Some(None)) }" => {
                let nested = Nested { level: Some(Some(None::<u8>)) };
                assert_eq!(encode_value(&nested, &mut ours).ok(), Some(kind));
                assert_eq!(decode_value::<Nested<Option<Option<u8>>>>(kind, &expected).ok(), Some(nested));
            }
            "(-2i128, 3u128)" => {
                assert_eq!(encode_value(&(-2_i128, 3_u128), &mut ours).ok(), Some(kind));
                assert_eq!(decode_value::<(i128, u128)>(kind, &expected).ok(), Some((-2, 3)));
            }
            "127.0.0.1" => {
                assert_eq!(encode_value(&IpAddr::from(Ipv4Addr::LOCALHOST), &mut ours).ok(), Some(kind));
                assert_eq!(decode_value::<IpAddr>(kind, &expected).ok(), Some(Ipv4Addr::LOCALHOST.into()));
            }
            _ => {
                let user = User { id: 7, name: "Ada".into() };
                assert_eq!(encode_value(&user, &mut ours).ok(), Some(kind));
                assert_eq!(decode_value::<User<'static>>(kind, &expected).ok(), Some(user));
            }
        }
        assert_eq!(ours, expected);
    }
}
