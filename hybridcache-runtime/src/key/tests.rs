#![allow(clippy::needless_borrow, reason = "what the ladder of placeholders begins with")]

mod read_back;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::num::{NonZeroI128, NonZeroU8};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use self::read_back::ReadBack;
use super::placeholder::{Placeholder, Plain, WriteDisplayed as _, WritePlain as _};
use super::text::{ON_STACK, hash};
use super::{CacheKey, KeyBuf, key_part};

fn key_of<T: CacheKey + ?Sized>(value: &T) -> String {
    let mut key = KeyBuf::new();
    key_part(value, &mut key);
    key.as_str().to_owned()
}

/// As `#[derive(CacheKey)]` writes an enum.
#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Unit,
    One(String),
    Two { first: Option<String>, rest: Vec<String> },
}

impl CacheKey for Shape {
    fn write_key(&self, key: &mut KeyBuf) {
        match self {
            Self::Unit => key.literal("Unit"),
            Self::One(only) => {
                key.literal("One(");
                key_part(only, key);
                key.literal(")");
            }
            Self::Two { first, rest } => {
                key.literal("Two(");
                key_part(first, key);
                key.literal(",");
                key_part(rest, key);
                key.literal(")");
            }
        }
    }
}

/// Texts that look like the grammar, or like each other once a byte is not escaped.
const TEXTS: [&str; 18] =
    ["", "a", "-", "+", "1", "0", "x", "%", "%2C", "2C", ",", "(", ")", "[", "]", ":", "é", "\u{fffd}"];

fn texts() -> impl Iterator<Item = String> + Clone {
    TEXTS.into_iter().map(str::to_owned)
}

fn options() -> impl Iterator<Item = Option<String>> + Clone {
    [None].into_iter().chain(texts().map(Some))
}

fn pairs<A: Clone, B>(a: impl Iterator<Item = A> + Clone, b: impl Iterator<Item = B> + Clone) -> Vec<(A, B)> {
    a.flat_map(|a| b.clone().map(move |b| (a.clone(), b))).collect()
}

fn lists<T: Clone>(items: impl Iterator<Item = T> + Clone) -> Vec<Vec<T>> {
    let two = pairs(items.clone(), items.clone()).into_iter().map(|(a, b)| vec![a, b]);
    [vec![]].into_iter().chain(items.map(|item| vec![item])).chain(two).collect()
}

fn assert_all_differ<T: CacheKey + Debug>(values: impl IntoIterator<Item = T>) {
    let mut seen = HashMap::new();
    for value in values {
        let key = key_of(&value);
        if let Some(other) = seen.insert(key.clone(), format!("{value:?}")) {
            panic!("{other} and {value:?} both are {key}");
        }
    }
}

/// Killed by: showing `,` or `%`; leaving out the number of items, a comma of a tuple, or the mark of `Some`.
#[test]
fn no_two_values_of_a_small_world_share_a_key() {
    assert_all_differ(texts());
    assert_all_differ(options());
    assert_all_differ(options().map(Some).chain([None]));
    assert_all_differ(pairs(texts(), texts()));
    assert_all_differ(pairs(options(), options()));
    assert_all_differ(lists(texts()));
    assert_all_differ(lists(options()));
    assert_all_differ(lists([vec![], vec![0_u8], vec![1], vec![16], vec![1, 6], vec![1, 0x60]].into_iter()));
    assert_all_differ(lists([(); 1].into_iter()));
    let few = || lists(["", ",", "]", "a"].into_iter());
    assert_all_differ(pairs(few().into_iter(), few().into_iter()));
    assert_all_differ(lists(few().into_iter()));
    let two = pairs(options(), lists(texts()).into_iter());
    let two = two.into_iter().map(|(first, rest)| Shape::Two { first, rest });
    assert_all_differ([Shape::Unit].into_iter().chain(texts().map(Shape::One)).chain(two));
}

#[test]
fn each_type_has_its_text() {
    assert_eq!(key_of(&(7_u8, -7_i64, u128::MAX)), "(7,-7,340282366920938463463374607431768211455)");
    assert_eq!(key_of(&(NonZeroU8::MAX, NonZeroI128::MIN)), "(255,-170141183460469231731687303715884105728)");
    assert_eq!(key_of(&[true, false]), "2[true,false]");
    assert_eq!(key_of(&('a', ':', 'é')), "(a,%3A,%C3%A9)");
    assert_eq!(key_of("a-b_c.d~e/f+g=h i"), "a-b_c.d~e%2Ff%2Bg%3Dh%20i");
    assert_eq!(key_of(&(None::<u8>, Some(None::<u8>), Some(Some(1)))), "(-,+-,++1)");
    assert_eq!(key_of(&((), (1,), (1, "b"))), "((),(1),(1,b))");
    assert_eq!(key_of(&[0x0a_u8, 0xff]), "2x0aff");
    assert_eq!(key_of(&vec![vec![1_u8], vec![]]), "2[1x01,0x]");
    assert_eq!(key_of::<[&str]>(&["a", ""]), "2[a,]");
    assert_eq!(key_of(&Duration::new(1, 5)), "1.000000005");
    assert_eq!(key_of(&Ordering::Less), "Less");
    assert_eq!(key_of(&PhantomData::<f64>), "()");
    assert_eq!(key_of(&Shape::Two { first: None, rest: vec![] }), "Two(-,0[])");
    assert_eq!(key_of(&(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)), "(1,2,3,4,5,6,7,8,9,10,11,12)");
}

#[test]
fn addresses_have_texts_of_their_own() {
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    assert_eq!(key_of(&Ipv4Addr::LOCALHOST), "127.0.0.1");
    assert_eq!(key_of(&IpAddr::V6(v6)), "2001%3Adb8%3A%3A1");
    assert_eq!(key_of(&SocketAddr::from((Ipv4Addr::LOCALHOST, 80))), "(127.0.0.1,80)");
    // These two are displayed alike.
    let flows = [1, 2].map(|flow| SocketAddr::V6(SocketAddrV6::new(v6, 80, flow, 3)));
    assert_eq!(
        flows.map(|address| key_of(&address)).join(" "),
        "(2001%3Adb8%3A%3A1,80,1,3) (2001%3Adb8%3A%3A1,80,2,3)"
    );
}

#[test]
fn what_points_at_a_value_has_its_text() {
    let text = String::from("a b");
    let pointing = (
        &text,
        Box::<str>::from("a b"),
        Rc::<str>::from("a b"),
        Arc::new(text.clone()),
        Cow::Borrowed("a b"),
        &mut text.clone(),
    );
    assert_eq!(key_of(&pointing), "(a%20b,a%20b,a%20b,a%20b,a%20b,a%20b)");
    assert_eq!(key_of(&Arc::<[u8]>::from([1])), "1x01");
}

/// A type with two different texts, to see which one was taken.
struct TwoTexts;

impl CacheKey for TwoTexts {
    fn write_key(&self, key: &mut KeyBuf) {
        key.literal("plain");
    }
}

impl fmt::Display for TwoTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("displayed")
    }
}

impl Plain for TwoTexts {}

fn only_displayed<T: fmt::Display>(value: T) -> KeyBuf {
    let mut key = KeyBuf::new();
    (&&Placeholder(&value)).__hc_write(&mut key);
    key
}

#[test]
fn a_placeholder_formats_only_what_it_must() {
    let mut key = KeyBuf::new();
    (&&Placeholder(&TwoTexts)).__hc_write(&mut key);
    key.literal(",");
    (&&Placeholder(&&&TwoTexts)).__hc_write(&mut key);
    assert_eq!(key.as_str(), "plain,plain");
    assert_eq!(only_displayed(TwoTexts).as_str(), "displayed");
}

#[test]
fn a_placeholder_takes_what_displays_itself() {
    let mut key = KeyBuf::new();
    let (boxed, float): (Box<str>, f64) = ("a:b".into(), -0.5);
    (&&Placeholder(&boxed)).__hc_write(&mut key);
    key.literal(",");
    (&&Placeholder(&float)).__hc_write(&mut key);
    key.literal(",");
    (&&Placeholder(&format_args!("{:>3}", 1))).__hc_write(&mut key);
    assert_eq!(key.as_str(), "a%3Ab,-0.5,%20%201");
}

macro_rules! assert_same_text {
    ($($value:expr),*) => {$(
        let value = $value;
        let mut plain = KeyBuf::new();
        (&&Placeholder(&value)).__hc_write(&mut plain);
        prop_assert_eq!(&plain, &only_displayed(&value));
        let mut referred = KeyBuf::new();
        (&&Placeholder(&&value)).__hc_write(&mut referred);
        prop_assert_eq!(plain, referred);
    )*};
}

/// A type whose `Display` returns an error that no writer reported.
struct Failing;

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half")?;
        Err(fmt::Error)
    }
}

/// Killed by: ignoring the error.
#[test]
#[should_panic(expected = "a `Display` of a cache key's part returned an error")]
fn half_a_text_is_no_key() {
    only_displayed(Failing);
}

#[test]
fn short_texts_stay_on_the_stack() {
    let mut key = KeyBuf::new();
    key.text(&"a".repeat(ON_STACK));
    assert!(key.heap.is_empty());
    key.text("");
    assert!(key.heap.is_empty());
    key.text("b").text("");
    assert_eq!(key.as_bytes().len(), ON_STACK + 1);
    assert_eq!(key.clone(), key);
    assert_ne!(key, KeyBuf::new());
    assert_eq!(format!("{:?}", KeyBuf::default()), "\"\"");
}

/// The text that [`KeyBuf::text`] should write, built byte by byte.
fn escaped(text: &str) -> String {
    let shown = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if shown(byte) { char::from(byte).into() } else { format!("%{byte:02X}") }).collect()
}

fn nasty_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::sample::select(&TEXTS[..]).prop_map(str::to_owned),
        1 => ".{0,40}",
        1 => proptest::collection::vec(any::<char>(), 0..120).prop_map(String::from_iter),
    ]
}

fn shape() -> impl Strategy<Value = Shape> {
    let two = (proptest::option::of(nasty_text()), proptest::collection::vec(nasty_text(), 0..3));
    prop_oneof![
        Just(Shape::Unit),
        nasty_text().prop_map(Shape::One),
        two.prop_map(|(first, rest)| Shape::Two { first, rest })
    ]
}

type Mixed = (String, Option<Option<String>>, Vec<Option<String>>, Vec<u8>, Shape, i64, [bool; 2]);

fn mixed() -> impl Strategy<Value = Mixed> {
    (
        nasty_text(),
        proptest::option::of(proptest::option::of(nasty_text())),
        proptest::collection::vec(proptest::option::of(nasty_text()), 0..3),
        proptest::collection::vec(any::<u8>(), 0..3),
        shape(),
        -2..2_i64,
        any::<[bool; 2]>(),
    )
}

fn read_shape(key: &mut ReadBack<'_>) -> Option<Shape> {
    if key.is("One(") {
        let only = key.text()?;
        key.mark(")").map(|()| Shape::One(only))
    } else if key.is("Two(") {
        let first = key.option(ReadBack::text)?;
        key.mark(",")?;
        let rest = key.list(ReadBack::text)?;
        key.mark(")").map(|()| Shape::Two { first, rest })
    } else {
        key.mark("Unit").map(|()| Shape::Unit)
    }
}

fn read_mixed(key: &str) -> Option<Mixed> {
    let mut key = ReadBack(key);
    key.mark("(")?;
    let text = key.text()?;
    key.mark(",")?;
    let option = key.option(|key| key.option(ReadBack::text))?;
    key.mark(",")?;
    let list = key.list(|key| key.option(ReadBack::text))?;
    key.mark(",")?;
    let bytes = key.bytes()?;
    key.mark(",")?;
    let shape = read_shape(&mut key)?;
    key.mark(",")?;
    let number = key.number()?;
    key.mark(",")?;
    let truths = key.list(|key| key.text()?.parse().ok())?.try_into().ok()?;
    key.mark(")")?;
    key.0.is_empty().then_some((text, option, list, bytes, shape, number, truths))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn unequal_values_have_unequal_keys((a, b) in (mixed(), mixed())) {
        prop_assert_eq!(a == b, key_of(&a) == key_of(&b));
    }

    /// Killed by: any change of the grammar.
    #[test]
    fn every_key_can_be_read_back(value in mixed()) {
        prop_assert_eq!(read_mixed(&key_of(&value)), Some(value));
    }

    /// As a default key over several arguments is built.
    #[test]
    fn arguments_in_a_row_are_told_apart(a in [nasty_text(), nasty_text()], b in [nasty_text(), nasty_text()]) {
        let row = |parts: &[String; 2]| {
            let mut key = KeyBuf::new();
            for (nth, part) in parts.iter().enumerate() {
                if nth > 0 {
                    key.literal(",");
                }
                key_part(part, &mut key);
            }
            key
        };
        prop_assert_eq!(a == b, row(&a) == row(&b));
    }

    /// As a template is filled. The macro ensures that between two placeholders there is a byte that no value shows.
    #[test]
    fn templates_are_injective(
        (a, b) in ((nasty_text(), nasty_text()), (nasty_text(), nasty_text())),
        between in proptest::sample::select(&[":", ",", "-,", "/x:", "%20,", "):(", "|a"][..]),
    ) {
        let fill = |(first, second): &(String, String)| {
            let mut key = KeyBuf::new();
            key.literal("x-");
            (&&Placeholder(first)).__hc_write(&mut key);
            key.literal(between);
            (&&Placeholder(second)).__hc_write(&mut key);
            key.literal("-y");
            key
        };
        prop_assert_eq!(a == b, fill(&a) == fill(&b));
    }

    #[test]
    fn both_ways_of_a_placeholder_write_the_same(
        text in nasty_text(), letter in any::<char>(), truth in any::<bool>(), number in any::<i128>(),
    ) {
        assert_same_text!(text.as_str(), text.clone(), letter, truth, number, number as u128, number as u64);
        assert_same_text!(number as i64, number as u32, number as i32, number as u16, number as i16);
        assert_same_text!(number as u8, number as i8, number as usize, number as isize);
    }

    /// Texts of all lengths around the end of the stack buffer, in pieces.
    #[test]
    fn a_key_is_the_escaped_pieces_in_a_row(pieces in proptest::collection::vec("[a:é]{0,30}", 0..8)) {
        let mut key = KeyBuf::new();
        for piece in &pieces {
            key.text(piece);
        }
        prop_assert_eq!(key.as_str(), escaped(&pieces.concat()));
        prop_assert!(key.as_bytes().iter().all(u8::is_ascii_graphic));
        prop_assert_eq!(key.heap.is_empty(), key.as_bytes().len() <= ON_STACK);
        prop_assert_eq!(key.unescaped(), pieces.concat());
    }

    #[test]
    fn every_key_is_printable_ascii(value in mixed()) {
        let is_safe = |byte: u8| byte.is_ascii_graphic() && !b"#{}@".contains(&byte);
        prop_assert!(key_of(&value).bytes().all(is_safe));
    }
}

/// Killed by: a part that writes another text than the value does, or that is noted although it is not the same for
/// each value of its type.
#[test]
fn parts_write_what_values_write() {
    fn check<T: CacheKey>(value: T) {
        let (mut whole, mut part) = (KeyBuf::new(), KeyBuf::new());
        value.write_key(&mut whole);
        key_part(&value, &mut part);
        assert_eq!(part, whole);
        assert_eq!(whole.numbers(), None);
        let room = ON_STACK - 5;
        let (mut whole, mut part) = (KeyBuf::new(), KeyBuf::new());
        (0..room).for_each(|_| whole.template("x"));
        (0..room).for_each(|_| part.template("x"));
        value.write_key(&mut whole);
        key_part(&value, &mut part);
        assert_eq!(part, whole, "where it no longer fits the stack");
    }
    for number in [0, 1, 9, 10, 11, 99, 100, 101, 12_345, u64::MAX / 10, u64::MAX] {
        check(number);
        check(number as u32);
        check(number as u16);
        check(number as usize);
        check(number as i64);
        check(-(number as i64 / 2));
    }
    check((i8::MIN, i16::MIN, i32::MIN, i64::MIN, isize::MIN));
    check(("a b", String::from("c:d"), &7_u64, 'x', Some(1)));
    check(());
}

#[test]
fn numbers_and_strings_are_noted_and_nothing_else() {
    fn noted<T: CacheKey>(value: T) -> Option<Vec<u64>> {
        let mut key = KeyBuf::new();
        key.template("x:");
        key_part(&value, &mut key);
        key.numbers().map(<[u64]>::to_vec)
    }
    assert_eq!(noted((7_u64, &8_u32)), Some(vec![7, 8]));
    assert_ne!(noted(7_i32), noted(-7_i32));
    assert_ne!(noted("a"), noted("b"));
    assert_eq!(noted((1_u64, 2_u64, 3_u64, 4_u64)), None, "there is no room for so many");
    assert_eq!(noted((1_u64, 2_u64, 3_u64, 4_u64, 5_u64)), None);
    assert_eq!(noted(Some(7_u64)), None);
    assert_eq!(noted((7_u64, true)), None);
    assert_eq!(noted(Shape::One("a".into())), None);
}

/// Killed by: a hash of the bytes alone (the hasher leaves lengths to its seed).
#[test]
fn texts_of_one_letter_are_noted_by_their_length() {
    let lengths = || (0..100).chain([1_000, 1_001]);
    let hashes: HashSet<_> = lengths().map(|length| hash(&"x".repeat(length))).collect();
    assert_eq!(hashes.len(), lengths().count());
}
