//! Keys are injective: calls that differ never share an entry.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use hybridcache::{CacheKey, KeyBuf, hybrid_cached};

use crate::world::World;

#[hybrid_cached(ttl = 60s, key = "{a}:{b}", cache = world.cache)]
async fn with_colon(world: &World, a: &str, b: &str) -> (String, String) {
    world.load("with colon").await;
    (a.to_owned(), b.to_owned())
}

#[hybrid_cached(ttl = 60s, key = "{a}{b}", cache = world.cache)]
async fn side_by_side(world: &World, a: &str, b: &str) -> (String, String) {
    world.load("side by side").await;
    (a.to_owned(), b.to_owned())
}

#[hybrid_cached(ttl = 60s, key = "{a}-{b}", cache = world.cache)]
async fn with_dash(world: &World, a: &str, b: &str) -> (String, String) {
    world.load("with dash").await;
    (a.to_owned(), b.to_owned())
}

#[hybrid_cached(ttl = 60s, skip(world), cache = world.cache)]
async fn by_default(world: &World, a: &str, b: &str) -> (String, String) {
    world.load("by default").await;
    (a.to_owned(), b.to_owned())
}

#[hybrid_cached(ttl = 60s, key = (a, b), cache = world.cache)]
async fn tuple(world: &World, a: &str, b: &str) -> (String, String) {
    world.load("tuple").await;
    (a.to_owned(), b.to_owned())
}

const TEXTS: [&str; 24] = [
    "", "a", "b", "x", "y", "z", "x:y", "y:z", ":", "::", "a,b", ",", "(", ")", "-", "-,", "%", "%3A", "x%3Ay", " ",
    "\0", "é", "{a}", "#",
];

/// Killed by: values that are not escaped; templates with nothing between two values.
#[tokio::test(start_paused = true)]
async fn pairs_of_texts() {
    let world = World::new().await;
    for round in 0..2 {
        for (a, b) in TEXTS.iter().flat_map(|a| TEXTS.map(|b| (*a, b))) {
            let expected = (a.to_owned(), b.to_owned());
            assert_eq!(with_colon(&world, a, b).await, expected);
            assert_eq!(side_by_side(&world, a, b).await, expected);
            assert_eq!(with_dash(&world, a, b).await, expected);
            assert_eq!(by_default(&world, a, b).await, expected);
            assert_eq!(tuple(&world, a, b).await, expected);
        }
        assert_eq!(world.loads(), 5 * 24 * 24, "in round {round}");
    }
}

/// Longer than what is readable, longer than what fits on the stack.
#[tokio::test(start_paused = true)]
async fn long_texts() {
    let world = World::new().await;
    for _ in 0..2 {
        for length in (60..70).chain(90..100).chain([1_000, 100_000]) {
            let text = "x".repeat(length);
            for (a, b) in [(text.as_str(), ""), ("", text.as_str()), (&text[1..], "x"), (&text[1..], "y")] {
                assert_eq!(tuple(&world, a, b).await, (a.to_owned(), b.to_owned()));
            }
        }
    }
    assert_eq!(world.loads(), 22 * 4);
}

#[derive(Clone, Debug, PartialEq, CacheKey)]
enum Part {
    A,
    B(u8),
    C(String, String),
    D {
        x: Option<u8>,
        y: Vec<u8>,
    },
    #[allow(non_camel_case_types, reason = "a variant that looks like another with its field")]
    B_,
}

#[derive(Clone, Debug, PartialEq, CacheKey)]
struct Parts {
    first: Vec<String>,
    second: Option<Arc<Parts>>,
}

fn text(value: &impl CacheKey) -> String {
    let mut key = KeyBuf::new();
    value.write_key(&mut key);
    key.as_str().to_owned()
}

/// Values that differ have texts that differ.
fn differ<T: CacheKey + std::fmt::Debug>(values: &[T]) {
    let mut seen = HashMap::new();
    for value in values {
        if let Some(other) = seen.insert(text(value), value) {
            panic!("{other:?} and {value:?} are both `{}`", text(value));
        }
    }
}

#[test]
fn structured_values() {
    let strings = || ["", "a", ",", "[", "]", "-", "+", "a,b", "1[a]", "%"].map(str::to_owned);
    differ(&strings());
    let lists: Vec<Vec<String>> = strings()
        .into_iter()
        .flat_map(|a| strings().into_iter().flat_map(move |b| [vec![a.clone()], vec![a.clone(), b]]))
        .chain([vec![]])
        .collect::<HashSet<_>>()
        .into_iter()
        .collect();
    differ(&lists);
    differ(&lists.iter().map(|list| Some(list.clone())).chain([None]).collect::<Vec<_>>());
    let nested: Vec<(Vec<String>, Vec<String>)> =
        lists.iter().take(20).flat_map(|a| lists.iter().take(20).map(|b| (a.clone(), b.clone()))).collect();
    differ(&nested);
    differ(&[None, Some(None), Some(Some("")), Some(Some("-")), Some(Some("+"))]);
    differ(&[vec![], vec![vec![]], vec![vec![], vec![]], vec![vec![0_u8]], vec![vec![0, 0]], vec![vec![0], vec![0]]]);
    differ(&[
        Part::A,
        Part::B(0),
        Part::B(1),
        Part::B_,
        Part::C("".into(), "".into()),
        Part::C("a".into(), "".into()),
        Part::C("".into(), "a".into()),
        Part::C(",".into(), "".into()),
        Part::D { x: None, y: vec![] },
        Part::D { x: Some(0), y: vec![] },
        Part::D { x: None, y: vec![0] },
    ]);
    let leaf = Parts { first: vec![], second: None };
    let inner = Parts { first: vec!["a".into()], second: Some(Arc::new(leaf.clone())) };
    differ(&[leaf.clone(), inner.clone(), Parts { first: vec![], second: Some(Arc::new(inner)) }]);
}

#[hybrid_cached(ttl = 60s, skip(world), cache = world.cache)]
async fn of_parts(world: &World, part: Part, ids: &[u64], flag: bool, of: Option<&'static str>) -> Part {
    world.load("parts").await;
    let _ = (ids, flag, of);
    part
}

impl serde::Serialize for Part {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(self))
    }
}

impl<'de> serde::Deserialize<'de> for Part {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("memory only"))
    }
}

#[tokio::test(start_paused = true)]
async fn arguments_of_many_types() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(of_parts(&world, Part::A, &[], false, None).await, Part::A);
        assert_eq!(of_parts(&world, Part::B(1), &[], false, None).await, Part::B(1));
        of_parts(&world, Part::A, &[1], false, None).await;
        of_parts(&world, Part::A, &[1, 1], false, None).await;
        of_parts(&world, Part::A, &[11], false, None).await;
        of_parts(&world, Part::A, &[], true, None).await;
        of_parts(&world, Part::A, &[], false, Some("")).await;
        of_parts(&world, Part::A, &[], false, Some("x")).await;
    }
    assert_eq!(world.loads(), 8);
}
