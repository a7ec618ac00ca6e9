//! Slots, and the answers of nodes about them.

use hybridcache_test_support::{RedisServer, Reply};

use super::*;
use crate::shared::wire::names::{Address, StampName, Token, groups};

/// Killed by: hashing the whole name.
#[test]
fn slots_are_those_of_the_server() {
    let node = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    let of_server = |name: &str| node.command(&[b"CLUSTER", b"KEYSLOT", name.as_bytes()]);
    for namespace in ["shop", "a:b {c}"] {
        for name in groups(namespace) {
            assert_eq!(of_server(&name), Reply::Integer(slot(&name).into()), "{name}");
        }
        let key = Address::new(namespace, "f", 3, "7");
        let token = Token { process: 1, attempt: 2 };
        for name in [key.entry(), &key.lease(), &key.stage(&token), key.at_version(20_261_130).entry()] {
            assert_eq!(of_server(name), Reply::Integer(slot(key.group()).into()), "{name}");
        }
        let stamp = StampName::of_tag(namespace, "org:9").key;
        assert_eq!(of_server(&stamp), Reply::Integer(slot(&stamp).into()), "{stamp}");
    }
}

fn range(first: i64, last: i64, host: Value, port: i64) -> Value {
    let node = Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".to_vec())]);
    Value::Array(vec![Value::Int(first), Value::Int(last), node])
}

fn host(host: &str) -> Value {
    Value::BulkString(host.as_bytes().to_vec())
}

/// Two groups whose slots differ.
fn two() -> (Vec<String>, [u16; 2]) {
    let groups = groups("shop")[..2].to_vec();
    let mut slots = [slot(&groups[0]), slot(&groups[1])];
    slots.sort_unstable();
    (groups, slots)
}

/// Killed by: counting nodes that own nothing of ours.
#[test]
fn only_what_concerns_our_names_counts() {
    let (groups, [low, high]) = two();
    let (low, high) = (i64::from(low), i64::from(high));
    let read = |ranges: Vec<Value>| Topology::read(&Value::Array(ranges), "asked", &groups).expect("ranges");
    let one = read(vec![range(0, low, host("a"), 1), range(low + 1, 16383, host("b"), 2)]);
    let other = read(vec![
        range(high, high, host("b"), 2),
        range(0, low - 1, host("c"), 3),
        range(low, low, host("a"), 1),
        range(low + 1, high - 1, host("d"), 4),
    ]);
    assert_eq!(one, other);
    assert_eq!(one.nodes, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
    assert!(one.is_complete());
    let owners: Vec<_> = groups.iter().map(|group| (slot(group), one.owner(group))).collect();
    assert!(owners.contains(&(low as u16, Some(0))) && owners.contains(&(high as u16, Some(1))), "{owners:?}");
    assert_ne!(one, read(vec![range(0, 16383, host("a"), 1)]));
}

/// Killed by: taking the first node for the owner of everything.
#[test]
fn a_slot_without_an_owner_is_known() {
    let (groups, [low, high]) = two();
    let ranges = Value::Array(vec![range(0, i64::from(low), host("a"), 1)]);
    let topology = Topology::read(&ranges, "asked", &groups).expect("ranges");
    assert!(!topology.is_complete());
    let orphan = groups.iter().find(|group| slot(group) == high).expect("one of two");
    assert_eq!(topology.owner(orphan), None);
}

#[test]
fn a_node_that_does_not_know_its_host_is_where_it_was_asked() {
    let (groups, _) = two();
    for unknown in [Value::Nil, host(""), host("?")] {
        let ranges = Value::Array(vec![range(0, 16383, unknown, 7)]);
        let topology = Topology::read(&ranges, "asked", &groups).expect("ranges");
        assert_eq!(topology.nodes, [("asked".to_owned(), 7)]);
    }
    for nonsense in [Value::Nil, Value::Array(vec![Value::Int(1)]), Value::Array(vec![range(0, 1, host("a"), 70_000)])]
    {
        assert_eq!(Topology::read(&nonsense, "asked", &groups), None);
    }
}
