//! Every key is short of nothing that is needed to read the value back, so no two values share one.
#![no_main]

#[path = "../../hybridcache-runtime/src/key/tests/read_back.rs"]
mod read_back;

use arbitrary::Arbitrary;
use hybridcache_runtime::__private::{KeyBuf, Placeholder, key_part};
use hybridcache_runtime::CacheKey;
use libfuzzer_sys::fuzz_target;
use read_back::ReadBack;

#[derive(Arbitrary, Clone, Debug, PartialEq)]
struct Arguments {
    text: String,
    nested: Option<Option<String>>,
    list: Vec<Option<String>>,
    lists: Vec<Vec<String>>,
    bytes: Vec<u8>,
    shape: Shape,
    number: i128,
    pairs: Vec<(u64, bool)>,
}

#[derive(Arbitrary, Clone, Debug, PartialEq)]
enum Shape {
    Unit,
    One(String),
    Two { first: Option<String>, rest: Vec<String> },
}

fuzz_target!(|input: (Arguments, [String; 2], [String; 2])| {
    let (arguments, one, other) = input;
    let mut key = KeyBuf::new();
    arguments.write(&mut key);
    assert!(key.as_bytes().iter().all(|byte| byte.is_ascii_graphic() && !b"#{}@".contains(byte)));
    assert_eq!(Arguments::read(ReadBack(key.as_str())), Some(arguments), "{key:?}");
    assert_eq!(one == other, template(&one) == template(&other));
});

fn template(values: &[String; 2]) -> KeyBuf {
    use hybridcache_runtime::__private::ladder::*;
    let mut key = KeyBuf::new();
    key.literal("x-");
    (&&Placeholder(&values[0])).write(&mut key);
    key.literal("-,");
    (&&Placeholder(&values[1])).write(&mut key);
    key.literal("-y");
    key
}

impl Arguments {
    /// As a default key over several arguments is made.
    fn write(&self, key: &mut KeyBuf) {
        key_part(&self.text, key);
        key.literal(",");
        key_part(&self.nested, key);
        key.literal(",");
        key_part(&(&self.list, &self.lists, &*self.bytes), key);
        key.literal(",");
        key_part(&self.shape, key);
        key.literal(",");
        key_part(&self.number, key);
        key.literal(",");
        key_part(&self.pairs, key);
    }

    fn read(mut key: ReadBack<'_>) -> Option<Self> {
        let text = key.text()?;
        key.mark(",")?;
        let nested = key.option(|key| key.option(ReadBack::text))?;
        key.mark(",(")?;
        let list = key.list(|key| key.option(ReadBack::text))?;
        key.mark(",")?;
        let lists = key.list(|key| key.list(ReadBack::text))?;
        key.mark(",")?;
        let bytes = key.bytes()?;
        key.mark("),")?;
        let shape = Shape::read(&mut key)?;
        key.mark(",")?;
        let number = key.number()?;
        key.mark(",")?;
        let pairs = key.list(read_pair)?;
        key.0.is_empty().then_some(Self { text, nested, list, lists, bytes, shape, number, pairs })
    }
}

fn read_pair(key: &mut ReadBack<'_>) -> Option<(u64, bool)> {
    key.mark("(")?;
    let number = key.number()?;
    key.mark(",")?;
    let truth = key.text()?.parse().ok()?;
    key.mark(")").map(|()| (number, truth))
}

/// As `#[derive(CacheKey)]` writes it.
impl CacheKey for Shape {
    fn write_key(&self, key: &mut KeyBuf) {
        match self {
            Self::Unit => key.literal("Unit"),
            Self::One(only) => {
                key.literal("One");
                key_part(&(only,), key);
            }
            Self::Two { first, rest } => {
                key.literal("Two");
                key_part(&(first, rest), key);
            }
        }
    }
}

impl Shape {
    fn read(key: &mut ReadBack<'_>) -> Option<Self> {
        if key.is("One(") {
            let only = key.text()?;
            key.mark(")").map(|()| Self::One(only))
        } else if key.is("Two(") {
            let first = key.option(ReadBack::text)?;
            key.mark(",")?;
            let rest = key.list(ReadBack::text)?;
            key.mark(")").map(|()| Self::Two { first, rest })
        } else {
            key.mark("Unit").map(|()| Self::Unit)
        }
    }
}
