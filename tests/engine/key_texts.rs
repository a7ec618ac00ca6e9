//! The text of keys, as operators read it in Redis and in metrics.
#![allow(dead_code, reason = "the functions are there for their handles")]

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use hybridcache::{CacheKey, KeyBuf, hybrid_cached};

#[hybrid_cached(ttl = 60s)]
async fn by_default(id: u64, name: &str) -> u64 {
    id + name.len() as u64
}

#[hybrid_cached(ttl = 60s)]
async fn of_one(id: i64) -> i64 {
    id
}

#[hybrid_cached(ttl = 60s)]
async fn of_none() -> u64 {
    0
}

#[hybrid_cached(ttl = 60s, skip(second))]
async fn skipping(first: u64, second: u64, third: u64) -> u64 {
    first + second + third
}

#[hybrid_cached(ttl = 60s, key = "user:{id}")]
async fn template(id: u64) -> u64 {
    id
}

#[hybrid_cached(ttl = 60s, key = "{a}:{b}")]
async fn of_two(a: &str, b: &str) -> String {
    a.to_owned() + b
}

#[hybrid_cached(ttl = 60s, key = "{a}-{b}")]
async fn with_dash(a: &str, b: &str) -> String {
    a.to_owned() + b
}

#[hybrid_cached(ttl = 60s, key = "{a}/{b}")]
async fn with_slash(a: &str, b: &str) -> String {
    a.to_owned() + b
}

#[hybrid_cached(ttl = 60s, key = "{order.user.id}:{order.lines.0}")]
async fn of_fields(order: Order) -> u64 {
    order.user.id
}

#[hybrid_cached(ttl = 60s, key = "{{{id}}} all of it")]
async fn with_braces(id: u64) -> u64 {
    id
}

#[hybrid_cached(ttl = 60s, key = "{r#type}:{price}")]
async fn displayed(r#type: char, price: f64) -> char {
    if price > 0.0 { r#type } else { ' ' }
}

#[hybrid_cached(ttl = 60s, key = (id, name))]
async fn tuple(id: u64, name: &str) -> u64 {
    id + name.len() as u64
}

#[hybrid_cached(ttl = 60s, key = name.to_lowercase())]
async fn expression(name: &str) -> usize {
    name.len()
}

#[hybrid_cached(ttl = 60s, key = Some(id))]
async fn option(id: u64) -> u64 {
    id
}

#[derive(Clone)]
struct Order {
    user: User,
    lines: (u64, u64),
}

#[derive(Clone, CacheKey)]
struct User {
    id: u64,
    name: String,
}

#[derive(CacheKey)]
enum Scope {
    All,
    Of(u64),
    Between { from: u64, to: Option<u64> },
}

#[derive(CacheKey)]
struct Wrapped<T>(T);

#[derive(CacheKey)]
struct Unit;

fn text(value: impl CacheKey) -> String {
    let mut key = KeyBuf::new();
    value.write_key(&mut key);
    key.as_str().to_owned()
}

#[test]
fn default_keys_list_the_arguments() {
    assert_eq!(by_default_entry(7, "Ada").key(), "7,Ada");
    assert_eq!(by_default_entry(7, "a,b (c)").key(), "7,a%2Cb%20%28c%29");
    assert_eq!(of_one_entry(-7).key(), "-7");
    assert_eq!(of_none_entry().key(), "");
    assert_eq!(skipping_entry(1, 3).key(), "1,3");
}

#[test]
fn templates_are_filled_in() {
    assert_eq!(template_entry(7).key(), "user:7");
    assert_eq!(of_two_entry("x:y", "z").key(), "x%3Ay:z");
    assert_eq!(with_slash_entry("x/y", "z").key(), "x%2Fy/z");
    assert_eq!(with_dash_entry("x-y", "z").key(), "x-y-,z", "a value may have a dash: the comma ends it");
    let order = Order { user: User { id: 7, name: "Ada".into() }, lines: (8, 9) };
    assert_eq!(of_fields_entry(order).key(), "7:8");
    assert_eq!(with_braces_entry(7).key(), "%7B7%7D%20all%20of%20it");
    assert_eq!(displayed_entry('ä', 1.5).key(), "%C3%A4:1.5");
}

#[test]
fn expressions_are_written_as_cache_keys() {
    assert_eq!(tuple_entry(7, "Ada").key(), "(7,Ada)");
    assert_eq!(expression_entry("ADA").key(), "ada");
    assert_eq!(option_entry(7).key(), "+7");
}

/// Killed by: escapes for less than all that gives a key its structure.
#[test]
fn each_type_has_its_text() {
    assert_eq!(text((1_u8, -2_i64, u128::MAX)), "(1,-2,340282366920938463463374607431768211455)");
    assert_eq!(text((true, 'x', "a b", String::from("é"))), "(true,x,a%20b,%C3%A9)");
    assert_eq!(text("-_.~()[],:{}@%#+=/"), "-_.~%28%29%5B%5D%2C%3A%7B%7D%40%25%23%2B%3D%2F");
    assert_eq!(text((None::<u64>, Some(7), Some(None::<u64>), Some("-"))), "(-,+7,+-,+-)");
    assert_eq!(text(()), "()");
    assert_eq!(text((7,)), "(7)");
    assert_eq!(text(([1_u64, 2], vec!["a", ""], &[(1, 2)][..])), "(2[1,2],2[a,],1[(1,2)])");
    assert_eq!(text((Vec::<String>::new(), vec![String::new()])), "(0[],1[])");
    assert_eq!(text((vec![0x0a_u8, 0xff], [0_u8; 0], &b"\x00"[..])), "(2x0aff,0x,1x00)");
    assert_eq!(text((NonZeroU32::MIN, Duration::from_millis(1_500))), "(1,1.500000000)");
    assert_eq!(text(IpAddr::from([127, 0, 0, 1])), "127.0.0.1");
    assert_eq!(text(Ipv6Addr::LOCALHOST), "%3A%3A1");
    assert_eq!(text((&7, Arc::new("a"), Box::new([1_u16]), Arc::<str>::from("b"))), "(7,a,1[1],b)");
}

#[test]
fn derived_keys_are_those_of_tuples_and_variants() {
    assert_eq!(text(User { id: 7, name: "Ada".into() }), "(7,Ada)");
    assert_eq!(text(Wrapped(7)), "(7)");
    assert_eq!(text(Wrapped(Wrapped("a"))), "((a))");
    assert_eq!(text((Scope::All, Scope::Of(7))), "(All,Of(7))");
    assert_eq!(text(Scope::Between { from: 1, to: None }), "Between(1,-)");
    assert_eq!(text(Unit), "()");
}

/// Killed by: a limit on the length that cuts.
#[test]
fn long_keys_are_hashed() {
    let long = "x".repeat(63);
    assert_eq!(of_two_entry(&long, "").key(), format!("{long}:"), "64 bytes can be read");
    let entry = of_two_entry(&long, "y");
    let hashed = entry.key();
    assert!(hashed.starts_with('#') && hashed.len() <= 64, "{hashed}");
    assert_ne!(of_two_entry(&long, "z").key(), hashed);
    assert_eq!(of_two_entry(&long, "y").key(), hashed, "the same in every process");
}
