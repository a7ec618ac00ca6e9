use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use std::fmt;

use super::format::check_shape;
use super::plain::{encode_value_within, is_same};
use super::*;

fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    assert_eq!(encode_value(value, &mut bytes).expect("encodes"), Kind::Value);
    bytes
}

fn decoded<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecFault> {
    decode_value(Kind::Value, bytes)
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Wrapped(Box<Tree>),
    Fork(Vec<Tree>),
    Named { tree: Box<Tree> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    email: Option<String>,
    tags: Vec<String>,
    balance: i128,
    score: f64,
    friends: BTreeMap<u32, Arc<str>>,
}

fn user() -> User {
    User {
        id: 7,
        name: "Ada".into(),
        email: None,
        tags: vec!["a".into()],
        balance: -1,
        score: 0.5,
        friends: [(1, "x".into())].into(),
    }
}

#[test]
fn values_come_back() {
    assert_eq!(decoded::<User>(&encoded(&user())).expect("decodes"), user());
    assert_eq!(decoded::<Arc<User>>(&encoded(&Arc::new(user()))).expect("decodes"), Arc::new(user()));
    let tree = Tree::Fork(vec![Tree::Leaf, Tree::Wrapped(Tree::Leaf.into()), Tree::Named { tree: Tree::Leaf.into() }]);
    assert_eq!(decoded::<Tree>(&encoded(&tree)).expect("decodes"), tree);
    decoded::<()>(&encoded(&())).expect("decodes");
}

#[test]
fn a_value_is_appended() {
    let mut bytes = b"before".to_vec();
    encode_value(&7, &mut bytes).expect("encodes");
    assert_eq!(bytes, b"before\x07");
}

/// Killed by: leaving out the names of fields.
#[test]
fn fields_are_found_by_their_names() {
    #[derive(Serialize)]
    struct Written {
        width: u32,
        height: u32,
    }
    #[derive(Debug, Deserialize)]
    struct Read {
        height: u32,
        width: u32,
    }
    let read: Read = decoded(&encoded(&Written { width: 1, height: 2 })).expect("decodes");
    assert_eq!((read.width, read.height), (1, 2));
}

/// Killed by: encoding the whole `Option`.
#[test]
fn the_outer_option_survives() {
    fn round<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(value: Option<T>) -> Kind {
        let mut bytes = Vec::new();
        let kind = encode_option(&value, &mut bytes).expect("encodes");
        assert_eq!(decode_option::<T>(kind, &bytes).expect("decodes"), value);
        kind
    }
    assert_eq!(round(Some(None::<u8>)), Kind::Value);
    assert_eq!(round(Some(())), Kind::Value);
    assert_eq!(round(Some(Some(1))), Kind::Value);
    assert_eq!(round(None::<Option<u8>>), Kind::None);
    assert_eq!(round(None::<()>), Kind::None);
}

#[test]
fn a_kind_that_does_not_fit_is_an_error() {
    assert!(matches!(decode_value::<Option<u8>>(Kind::None, b""), Err(CodecFault::WrongKind)));
    assert!(matches!(decode_option::<u8>(Kind::None, b"\x07"), Err(CodecFault::WrongKind)));
    assert!(matches!(decode_option::<u8>(Kind::Value, b""), Err(CodecFault::Malformed)));
}

/// Killed by: leaving out `check_shape`; not comparing what is left at its end.
#[test]
fn more_or_less_than_one_value_is_an_error() {
    let bytes = encoded(&user());
    for length in 0..bytes.len() {
        assert!(matches!(decoded::<User>(&bytes[..length]), Err(CodecFault::Malformed)), "{length}");
    }
    let longer = [&bytes[..], b"\x00"].concat();
    assert!(matches!(decoded::<User>(&longer), Err(CodecFault::Malformed)));
    assert!(matches!(decoded::<u8>(b"\x07\x07"), Err(CodecFault::Malformed)));
    assert!(matches!(decoded::<u8>(b"\xc1"), Err(CodecFault::Malformed)));
}

#[test]
fn another_type_is_an_error() {
    assert!(matches!(decoded::<u8>(&encoded(&"seven")), Err(CodecFault::Decode(_))));
    assert!(matches!(decoded::<u8>(&encoded(&300)), Err(CodecFault::Decode(_))));
    assert!(matches!(decoded::<User>(&encoded(&(1, 2))), Err(CodecFault::Decode(_))));
}

#[test]
fn a_value_that_cannot_be_encoded_is_an_error() {
    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }
    assert!(matches!(encode_value(&Refuses, &mut Vec::new()), Err(CodecFault::Encode(_))));
}

fn nested(depth: usize) -> Tree {
    (0..depth).fold(Tree::Leaf, |tree, _| Tree::Wrapped(tree.into()))
}

/// Killed by: a limit of 99 or 101; not looking at what was encoded.
#[test]
fn values_may_be_nested_a_hundred_deep() {
    assert_eq!(decoded::<Tree>(&encoded(&nested(100))).expect("decodes"), nested(100));
    assert!(matches!(encode_value(&nested(101), &mut Vec::new()), Err(CodecFault::TooDeep)));
}

/// The second and the last of these overflow the stack without the limit, because the limit of the decoder itself does
/// not count enums. Killed by: leaving out `check_shape`.
#[test]
fn bytes_nested_without_end_are_an_error() {
    for opening in [&b"\x91"[..], b"\x81\xa7Wrapped", b"\x81\xa4Fork\x91", b"\x81\xa5Named\x81\xa4tree", b"\x81\x01"] {
        let bytes = opening.repeat(1_000_000);
        assert!(matches!(decoded::<Tree>(&bytes), Err(CodecFault::TooDeep)));
        assert!(matches!(decoded::<serde::de::IgnoredAny>(&bytes), Err(CodecFault::TooDeep)));
    }
}

/// Remembers for how many items it was asked to reserve room.
#[derive(Debug)]
struct Announced(Option<usize>);

impl<'de> Deserialize<'de> for Announced {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items;
        impl<'de> serde::de::Visitor<'de> for Items {
            type Value = Announced;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("items")
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Announced, A::Error> {
                let announced = items.size_hint();
                while items.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                Ok(Announced(announced))
            }
        }
        deserializer.deserialize_seq(Items)
    }
}

/// So no type allocates for more items than there are bytes. Killed by: leaving out `check_shape`.
#[test]
fn a_length_promises_no_more_than_there_is() {
    for hostile in [
        &b"\xdd\xff\xff\xff\xff"[..],
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x01",
        b"\xdd\x00\x00\x00\x03\x01\x01",
        b"\xdc\xff\xff\x01",
        b"\xde\xff\xff",
        b"\xc8\x00\x05\x01",
    ] {
        assert!(matches!(decoded::<Vec<u64>>(hostile), Err(CodecFault::Malformed)), "{hostile:x?}");
        assert!(matches!(decoded::<HashMap<u8, u8>>(hostile), Err(CodecFault::Malformed)), "{hostile:x?}");
        assert!(matches!(decoded::<String>(hostile), Err(CodecFault::Malformed)), "{hostile:x?}");
    }
    assert_eq!(decoded::<Announced>(b"\x93\x01\x02\x03").expect("decodes").0, Some(3));
}

/// Objects with every marker, for the walk.
#[test]
fn every_marker_is_measured_right() {
    let objects: [&[u8]; 34] = [
        b"\x00",
        b"\x7f",
        b"\xe0",
        b"\xff",
        b"\xc0",
        b"\xc2",
        b"\xc3",
        b"\x80",
        b"\x81\x01\x02",
        b"\x90",
        b"\x92\x01\x02",
        b"\xa0",
        b"\xa2ab",
        b"\xc4\x01a",
        b"\xc5\x00\x01a",
        b"\xc6\x00\x00\x00\x01a",
        b"\xc7\x01\x05a",
        b"\xc8\x00\x01\x05a",
        b"\xc9\x00\x00\x00\x01\x05a",
        b"\xca1234",
        b"\xcb12345678",
        b"\xcc1",
        b"\xcd12",
        b"\xce1234",
        b"\xcf12345678",
        b"\xd01",
        b"\xd112",
        b"\xd21234",
        b"\xd312345678",
        b"\xd4\x051",
        b"\xd5\x0512",
        b"\xd8\x051234567812345678",
        b"\xd9\x01a",
        b"\xdc\x00\x01\x01",
    ];
    for object in objects {
        check_shape(object).unwrap_or_else(|error| panic!("{object:x?}: {error}"));
        for length in 0..object.len() {
            assert!(check_shape(&object[..length]).is_err(), "{object:x?} {length}");
        }
        assert!(check_shape(&[object, b"\x00"].concat()).is_err(), "{object:x?}");
    }
    let all = [&b"\xdd\x00\x00\x00\x22"[..], &objects.concat()].concat();
    check_shape(&all).expect("all in one array");
    check_shape(b"\xdf\x00\x00\x00\x01\xda\x00\x01a\xde\x00\x01\x01\x02").expect("maps");
}

type Nested = Option<Option<Option<u8>>>;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Profile {
    nickname: Option<Option<String>>,
    flag: Option<()>,
    json: Option<serde_json::Value>,
    deep: Nested,
    list: Vec<Nested>,
    map: BTreeMap<String, Option<Option<u8>>>,
}

fn profiles() -> Vec<Profile> {
    let levels: [Nested; 4] = [None, Some(None), Some(Some(None)), Some(Some(Some(1)))];
    let profile = |level: Nested| Profile {
        nickname: level.map(|inner| inner.map(|inner| format!("{inner:?}"))),
        flag: level.map(drop),
        json: level.map(|inner| inner.map_or(serde_json::Value::Null, |inner| serde_json::json!([inner, null]))),
        deep: level,
        list: levels.to_vec(),
        map: [("a".into(), None), ("b".into(), Some(None)), ("c".into(), Some(Some(1)))].into(),
    };
    levels.into_iter().map(profile).collect()
}

/// Killed by: `Some` without a mark of its own; one mark for any depth.
#[test]
fn nothing_in_some_is_not_nothing() {
    for profile in profiles() {
        assert_eq!(decode_again(&profile), profile);
    }
    let many = (0..300).map(|_| ()).collect::<Vec<_>>();
    assert_eq!(decode_again(&Some(many.clone())), Some(many));
    assert_eq!(encoded(&Some(None::<u8>)), b"\xd4\x01\x01");
    assert_eq!(encoded(&Some(Some(Some(())))), b"\xd4\x01\x03");
    assert_eq!(encoded(&Some(vec![None::<u8>])), b"\x91\xc0");
    for foreign in [&b"\xd4\x01\x00"[..], b"\xd4\x04\x01", b"\xd5\x01\x01\x01", b"\xc7\x01\x01\x01"] {
        assert!(decoded::<Nested>(foreign).is_err(), "{foreign:x?}");
    }
    // No more levels than the type has.
    assert!(decoded::<Nested>(b"\xd4\x01\x04").is_err());
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Address(IpAddr),
    Wide(i128),
    Level { level: Option<Option<u8>> },
    Text(String),
    Bytes(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Flat {
        #[serde(flatten)]
        profile: Profile,
        address: Option<IpAddr>,
    },
    Empty,
}

/// serde buffers some types in a form of its own before it knows them. Killed by: a format that is not for people to
/// read; nothing in `Some` that only an `Option` would find.
#[test]
fn what_serde_looks_at_first_comes_back() {
    let v6: IpAddr = "2001:db8::1".parse().expect("an address");
    for value in [
        Untagged::Address(v6),
        Untagged::Level { level: None },
        Untagged::Level { level: Some(None) },
        Untagged::Level { level: Some(Some(1)) },
        Untagged::Text("x".into()),
        Untagged::Bytes(vec![1, 2]),
    ] {
        assert_eq!(decode_again(&value), value);
    }
    for profile in profiles() {
        let value = Tagged::Flat { profile, address: Some(v6) };
        assert_eq!(decode_again(&value), value);
    }
    assert_eq!(decode_again(&Tagged::Empty), Tagged::Empty);
    // serde's buffer has no 128-bit integers.
    assert!(decoded::<Untagged>(&encoded(&Untagged::Wide(5))).is_err());
}

/// Whether the value comes back, as the engine checks it.
fn comes_back<T: Serialize + DeserializeOwned>(value: &T) -> bool {
    decoded(&encoded(value)).and_then(|copy| is_same(value, &copy)).unwrap_or(false)
}

/// Killed by: comparing bytes only; leaving out what a value calls itself.
#[test]
fn a_value_that_comes_back_as_another_one_is_noticed() {
    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Number {
        Small(u8),
        Large(u64),
    }
    assert!(comes_back(&Number::Small(5)));
    assert!(comes_back(&Number::Large(300)));
    assert!(!comes_back(&Number::Large(5)), "the same bytes");

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Letter {
        Char(char),
        Text(String),
    }
    assert!(comes_back(&Letter::Char('a')));
    assert!(!comes_back(&Letter::Text("a".into())), "the same bytes");

    #[derive(Serialize, Deserialize)]
    struct Metres(u8);
    #[derive(Serialize, Deserialize)]
    struct Feet(u8);
    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Length {
        Metres(Metres),
        Feet(Feet),
    }
    assert!(comes_back(&Length::Metres(Metres(1))));
    assert!(!comes_back(&Length::Feet(Feet(1))), "the same bytes");

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Several {
        List(Vec<u8>),
        Pair((u8, u8)),
    }
    assert!(!comes_back(&Several::Pair((1, 2))), "the same bytes");
    assert!(!comes_back(&Untagged::Wide(5)));

    /// Is read as the number after it.
    #[derive(Serialize)]
    struct Off(u64);
    impl<'de> Deserialize<'de> for Off {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            u64::deserialize(deserializer).map(|number| Self(number + 1))
        }
    }
    assert!(!comes_back(&Off(1)));
    assert!(!comes_back(&HashMap::from([("a".to_owned(), Off(1))])));
}

/// No function is kept out of Redis by these values. Killed by: comparing the order of maps and sets; taking a value
/// for changed that says something else each time.
#[test]
fn a_value_that_comes_back_is_not_taken_for_another_one() {
    let words = || (0..500).map(|n| format!("word {n}"));
    assert!(comes_back(&words().map(|word| (word, Some(None::<u8>))).collect::<HashMap<_, _>>()));
    assert!(comes_back(&words().collect::<HashSet<_>>()));
    assert!(comes_back(&vec![words().collect::<HashSet<_>>(); 3]));
    assert!(comes_back(&[f64::NAN, -0.0, f64::INFINITY, f64::MIN_POSITIVE]));
    assert!(comes_back(&(f32::NAN, 1_u8, -1_i8, i64::MIN, u64::MAX, i128::MIN, u128::MAX, 'x', true)));
    assert!(comes_back(&(Duration::MAX, SystemTime::UNIX_EPOCH, "::1".parse::<IpAddr>().expect("an address"))));
    assert!(comes_back(&serde_json::json!({"a": [1, -1, 1.5, null, "x", true, {}], "b": {"c": []}, "d": u64::MAX})));
    assert!(comes_back(&(user(), nested(50), Some(()), Box::new(Arc::new(Some(Some(())))))));
    for profile in profiles() {
        assert!(comes_back(&profile));
        assert!(comes_back(&Tagged::Flat { profile, address: None }));
    }
    for value in [Untagged::Level { level: Some(None) }, Untagged::Bytes(vec![1]), Untagged::Text("::".into())] {
        assert!(comes_back(&value));
    }

    fn two() -> u8 {
        2
    }
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    #[allow(dead_code, reason = "only written and read")]
    struct Attributes {
        #[serde(rename = "type", alias = "kind")]
        kind_of: String,
        #[serde(skip)]
        skipped: u8,
        #[serde(skip_serializing, default = "two")]
        not_written: u8,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        when_some: Option<u8>,
        #[serde(default)]
        with_default: Vec<u8>,
        #[serde(serialize_with = "rounded")]
        rounded: f64,
        unit: (),
        tuple: (u8, (), [Option<()>; 2]),
    }
    fn rounded<S: serde::Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(value.round())
    }
    let attributes = Attributes {
        kind_of: "x".into(),
        skipped: 1,
        not_written: 3,
        when_some: None,
        with_default: vec![],
        rounded: 1.6,
        unit: (),
        tuple: (1, (), [None, Some(())]),
    };
    assert!(comes_back(&attributes));

    /// Like an `Instant` that is written as its age.
    #[derive(Deserialize)]
    struct Counts(#[serde(skip)] Rc<Cell<u64>>);
    impl Serialize for Counts {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.set(self.0.get() + 1);
            (self.0.get(),).serialize(serializer)
        }
    }
    let counts = Counts(Rc::default());
    let copy = Counts(Rc::default());
    encoded(&counts);
    assert!(is_same(&counts, &copy).expect("encodes"), "nothing can be known of it");
}

/// Killed by: looking at the length when all is written.
#[test]
fn encoding_ends_at_the_limit() {
    struct Many<'a>(&'a Cell<usize>);
    impl Serialize for Many<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq((0..10_000_000).map(|_| {
                self.0.set(self.0.get() + 1);
                300_u64
            }))
        }
    }
    let written = Cell::new(0);
    let mut bytes = b"header".to_vec();
    let limit = 3_000;
    assert!(matches!(encode_value_within(limit, &Many(&written), &mut bytes), Err(CodecFault::TooLarge)));
    // Three bytes each.
    assert!((990..=1000).contains(&written.get()), "{}", written.get());
    assert!(bytes.len() <= limit + 8);
    for text in [2_990, 2_991, 2_992] {
        let mut bytes = b"header".to_vec();
        let encoded = encode_value_within(limit, &"x".repeat(text), &mut bytes);
        assert_eq!(encoded.is_ok(), text + 9 <= limit, "{text}");
    }
    assert!(matches!(encode_value_within(limit, &Blob(vec![0; 50_000]), &mut Vec::new()), Err(CodecFault::TooLarge)));
}

/// Serialized as bytes.
struct Blob(Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

/// Any byte, with more of those that open an array or a map.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), 0x80_u8..0xa4, 0xc0_u8..0xe0]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(byte(), 0..60)) {
        let _ = decoded::<User>(&bytes);
        let _ = decoded::<Tree>(&bytes);
        let _ = decoded::<(u8, Option<Vec<String>>, i128)>(&bytes);
        let _ = decoded::<HashMap<String, Vec<f32>>>(&bytes);
        let _ = decoded::<serde::de::IgnoredAny>(&bytes);
        let _ = decode_option::<()>(Kind::Value, &bytes);
    }

    /// A value in which one byte was changed decodes to some value or to none.
    #[test]
    fn damaged_values_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = encoded(&(user(), nested(3)));
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decoded::<(User, Tree)>(&bytes);
    }

    #[test]
    fn any_value_survives(value in any::<(u64, i32, Option<bool>, Vec<Option<String>>, [u8; 3], (f32, char))>()) {
        prop_assert_eq!(decode_again(&value), value);
    }
}

fn decode_again<T: Serialize + DeserializeOwned>(value: &T) -> T {
    decoded(&encoded(value)).expect("decodes")
}

/// A caller that is generic over its value does not know whether it is an `Option`. Killed by: a `None` that has bytes;
/// nothing (`c0`) read as the outer `None`.
#[test]
fn what_is_stored_as_an_option_and_as_any_type_is_read_as_either_or_not_at_all() {
    fn any<T: Serialize>(value: &T) -> (Kind, Vec<u8>) {
        let mut bytes = Vec::new();
        let kind = encode_any_within(usize::MAX, value, &mut bytes).expect("encodes");
        (kind, bytes)
    }
    fn option<T: Serialize>(value: &Option<T>) -> (Kind, Vec<u8>) {
        let mut bytes = Vec::new();
        (encode_option(value, &mut bytes).expect("encodes"), bytes)
    }
    for value in [None, Some(7_u64)] {
        assert_eq!(any(&value), option(&value));
        let (kind, bytes) = option(&value);
        assert_eq!(decode_any::<Option<u64>>(kind, &bytes).expect("decodes"), value);
        assert_eq!(decode_option::<u64>(kind, &bytes).expect("decodes"), value);
    }
    for value in [None, Some(None), Some(Some(7_u64))] {
        let (kind, bytes) = any(&value);
        assert_eq!(decode_any::<Option<Option<u64>>>(kind, &bytes).expect("decodes"), value);
        if let Ok(read) = decode_option::<Option<u64>>(kind, &bytes) {
            assert_eq!(read, value);
        }
        let (kind, bytes) = option(&value);
        if let Ok(read) = decode_any::<Option<Option<u64>>>(kind, &bytes) {
            assert_eq!(read, value);
        }
    }
    let (kind, bytes) = any(&());
    assert_eq!((kind, bytes.len()), (Kind::None, 0));
    decode_any::<()>(kind, &bytes).expect("decodes");
    decode_any::<u64>(kind, &bytes).expect_err("a number is not nothing");
    decode_any::<u64>(Kind::None, &[1]).expect_err("nothing has no bytes");
}
