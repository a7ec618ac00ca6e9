use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::{Address, READABLE, channels, invalidation_channel, wake_prefix};
use crate::key::KeyBuf;
use crate::shared::{StampName, Token};

const TOKEN: Token = Token { process: 1, attempt: 2 };

/// Texts that look like the structure of a name, like hashed parts, or are cut short when escaped.
fn nasty_names() -> Vec<String> {
    let short = [
        "", "a", "t", "a:b", ":", "::", "@", "a@0", "@0:", "%", "%3A", "%40", "{", "}", "{}", "#", " ", "é", "\n", "n",
        "f", "a@0:b",
    ];
    let long = ["a".repeat(64), "a".repeat(65), "b".repeat(65), "é".repeat(10), "é".repeat(11), "%".repeat(22)];
    let hashed = shown_name(&"a".repeat(65));
    let crafted = [hashed.clone(), hashed.replace('#', "%23"), hashed.replace('#', "")];
    short.into_iter().map(str::to_owned).chain(long).chain(crafted).collect()
}

/// A function's name as it appears in the name of a key.
fn shown_name(text: &str) -> String {
    let address = Address::new("", text, 0, "");
    let (_, behind) = address.base().split_once("}:").expect("a bucket");
    behind.split_once('@').expect("a version").0.to_owned()
}

fn args(text: &str) -> String {
    let mut key = KeyBuf::new();
    key.text(text);
    key.as_str().to_owned()
}

/// The name without its bucket, which would hide all but one in 256 collisions.
fn without_bucket(name: &str) -> String {
    let (before, behind) = name.split_once('}').expect("a bucket");
    format!("{}{behind}", &before[..before.len() - 2])
}

/// Killed by: showing `@`, `%` or `#` in a function's name; taking arguments as they are.
#[test]
fn no_two_keys_share_a_name() {
    let names = nasty_names();
    let plain = ["a:l", "a:e", "(a,b)", "b@1:c", "c", "0:", "%40"].map(str::to_owned);
    let crafted = ["{}", "#"].map(str::to_owned).into_iter().chain([shown_name(&"a".repeat(65))]);
    let arguments: HashSet<_> = names.iter().map(|name| args(name)).chain(plain).chain(crafted).collect();
    let mut seen = HashMap::new();
    for function in &names {
        for version in [0, 1, 10, u32::MAX] {
            for argument in &arguments {
                let address = Address::new("shop", function, version, argument);
                for name in [address.entry(), &address.lease(), &address.stage(&TOKEN)] {
                    let key = (function, version, argument);
                    if let Some(other) = seen.insert(without_bucket(name), key) {
                        panic!("{other:?} and {key:?}: {name}");
                    }
                }
            }
        }
    }
}

/// Killed by: showing `:`, `%` or `#` in a namespace.
#[test]
fn no_two_namespaces_share_a_name() {
    let mut seen = HashSet::new();
    let namespaces: HashSet<_> =
        nasty_names().into_iter().chain(["a:w".into(), "a:inv".into(), "a:t".into()]).collect();
    for namespace in &namespaces {
        let address = Address::new(namespace, "f", 0, "");
        let stamps = [
            StampName::of_namespace(namespace),
            StampName::of_function(namespace, "f"),
            StampName::of_tag(namespace, "f"),
            StampName::of_tag(namespace, ""),
        ];
        let names = [
            address.entry().to_owned(),
            address.lease(),
            invalidation_channel(&channels(namespace, 0)),
            invalidation_channel(&channels(namespace, 7)),
            wake_prefix(&channels(namespace, 0)),
            wake_prefix(&channels(namespace, 7)),
        ];
        for name in names.into_iter().chain(stamps.map(|stamp| stamp.key.as_ref().to_owned())) {
            assert!(seen.insert(name.clone()), "{namespace:?}: {name}");
        }
    }
    // A process's id follows the prefix: no other name may begin with it.
    for prefix in namespaces.iter().map(|namespace| wake_prefix(&channels(namespace, 0))) {
        assert_eq!(seen.iter().filter(|name| name.starts_with(&prefix)).count(), 1, "{prefix}");
    }
}

#[test]
fn no_two_stamps_share_a_name_or_a_hash() {
    let mut names = HashSet::new();
    let mut hashes = HashSet::new();
    let of_names = |name: String| [StampName::of_function("shop", &name), StampName::of_tag("shop", &name)];
    for stamp in nasty_names().into_iter().flat_map(of_names).chain([StampName::of_namespace("shop")]) {
        assert!(hashes.insert(stamp.hash), "{stamp:?}");
        assert!(names.insert(stamp.key.clone()), "{stamp:?}");
    }
}

/// Killed by: making the version part of the id.
#[test]
fn all_versions_are_in_one_slot_and_have_one_id() {
    for version in [0, 1, 9, 10, 20_261_130, u32::MAX] {
        let address = Address::new("shop", "orders::total", version, "7");
        for other in [0, 1, 10, 20_261_130, u32::MAX] {
            let other = address.at_version(other);
            assert_eq!(other, Address::new("shop", "orders::total", other.version, "7"));
            assert_eq!((other.id(), other.group()), (address.id(), address.group()));
        }
    }
}

/// Killed by: a limit of 63 or 65.
#[test]
fn a_part_is_readable_up_to_64_bytes() {
    let shown = |args: &str| Address::new("shop", "f", 0, args).readable() == args;
    assert!(shown("") && shown("user:7") && shown("(1,+a%20b)") && shown(&"a".repeat(READABLE)));
    assert!(!shown(&"a".repeat(READABLE + 1)));
    assert_eq!(shown_name(&"a".repeat(READABLE)), "a".repeat(READABLE));
    assert!(shown_name(&"a".repeat(READABLE + 1)).starts_with('#'));
    assert_eq!(shown_name(&"é".repeat(10)), "%C3%A9".repeat(10));
    assert!(shown_name(&"é".repeat(11)).starts_with('#'));
}

/// A text that did not come from [`KeyBuf`] cannot leave its place in the name. Killed by: taking arguments as they
/// are.
#[test]
fn arguments_that_are_not_canonical_are_hashed() {
    for args in ["#", "#aaaa", "{", "}", " ", "é", "\n", "a\u{7f}"] {
        assert!(Address::new("shop", "f", 0, args).readable().starts_with('#'), "{args:?}");
        assert_eq!(Address::new("shop", "f", 0, args).readable().len(), 40);
    }
}

/// Killed by: hashing the parts without their lengths.
#[test]
fn where_a_part_ends_is_part_of_the_id() {
    let id = |function, args| Address::new("", function, 0, args).id();
    assert_ne!(id("ab", "c"), id("a", "bc"));
    assert_ne!(id("", "a"), id("a", ""));
    assert_eq!(id("a", "b"), Address::new("other", "a", 9, "b").id());
}

proptest! {
    /// Every name is short and printable, and keeps all names of a key in one slot of a cluster.
    #[test]
    fn names_are_bounded_and_printable(namespace in ".*", function in ".*", version in any::<u32>(), argument in ".*") {
        let address = Address::new(&namespace, &function, version, &args(&argument));
        let slot = format!(":{:02x}}}", address.id() & 0xff);
        for name in [address.entry(), &address.lease(), &address.stage(&TOKEN)] {
            prop_assert!(name.len() <= 3 * READABLE + 60, "{}", name);
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_graphic()));
            let in_slot = name.find('}').is_some_and(|at| name[..at + 1].ends_with(&slot));
            prop_assert!(in_slot, "{}", name);
            prop_assert_eq!(name.matches(['{', '}']).count(), 2);
        }
    }
}
