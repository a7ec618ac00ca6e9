//! Templates, expressions and the default key, and the text that comes of them.
#![deny(warnings)]

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use hybridcache::{CacheKey, hybrid_cached};

static LOADS: AtomicU32 = AtomicU32::new(0);

fn load() -> u32 {
    LOADS.fetch_add(1, Relaxed)
}

#[derive(Clone)]
struct Order {
    user: User,
    lines: (u32, String),
    r#type: u8,
}

#[derive(Clone)]
struct User {
    id: u64,
    name: String,
}

#[derive(Clone, CacheKey)]
struct Page<T> {
    size: T,
    sort: Sort,
}

#[derive(Clone, CacheKey)]
enum Sort {
    Name,
    Columns(u8, String),
    Named { r#as: char },
}

#[derive(Clone, CacheKey)]
struct Unit;

#[derive(Clone, CacheKey)]
#[cache_key(crate = hybridcache)]
struct Wrapped(u32);

#[hybrid_cached(ttl = 1h, key = "o {{}} {order.user.id}:{order.lines.1}-{order.type}{r#type}")]
async fn template(order: Order, r#type: &str) -> u32 {
    let _ = (order, r#type);
    load()
}

#[hybrid_cached(ttl = 1h, key = id)]
async fn by_value(id: String) -> u32 {
    drop(id);
    load()
}

#[hybrid_cached(ttl = 1h, key = (id, (order.user.name, Some(id)), order.user.id))]
async fn tuple(id: String, order: Order) -> u32 {
    drop((id, order));
    load()
}

#[hybrid_cached(ttl = 1h, key = format!("{id:?}/{}", order.user.id))]
async fn formatted(id: &str, order: &Order, unused: u8) -> u32 {
    let _ = (id, order, unused);
    load()
}

#[hybrid_cached(ttl = 1h, key = id.into_bytes())]
async fn consumed(id: String) -> u32 {
    drop(id);
    load()
}

#[hybrid_cached(ttl = 1h, key = match sort { Sort::Name => 0, Sort::Columns(n, _) => *n, Sort::Named { .. } => 9 })]
async fn matched(sort: &Sort) -> u32 {
    let _ = sort;
    load()
}

#[hybrid_cached(ttl = 1h, skip(skipped))]
async fn default(id: u64, skipped: f64, page: Page<u16>, list: Vec<Option<u8>>, unit: Unit, wrapped: &Wrapped) -> u32 {
    let _ = (id, skipped, page.size, page.sort, list, unit, wrapped.0);
    load()
}

#[hybrid_cached(ttl = 1h, key = "all")]
async fn constant(id: u64) -> u32 {
    let _ = id;
    load()
}

/// Calls twice, with one load.
macro_rules! once {
    ($call:expr) => {
        LOADS.store(0, Relaxed);
        assert_eq!($call.await, $call.await);
        assert_eq!(LOADS.load(Relaxed), 1, stringify!($call));
    };
}

#[tokio::test]
async fn runs() {
    let user = User { id: 7, name: "Ada L".to_owned() };
    let order = Order { user, lines: (1, "x:y".to_owned()), r#type: 3 };

    once!(template(order.clone(), "t"));
    assert_eq!(template_entry(order.clone(), "t").key(), "o%20%7B%7D%207:x%3Ay-,3,t");

    once!(by_value("a".to_owned()));
    assert_eq!(by_value_entry("a".to_owned()).key(), "a");

    once!(tuple("a".to_owned(), order.clone()));
    assert_eq!(tuple_entry("a".to_owned(), order.clone()).key(), "(a,(Ada%20L,+a),7)");

    once!(formatted("a", &order, 1));
    assert_eq!(formatted_entry("a", &order).key(), "%22a%22%2F7");

    once!(consumed("a".to_owned()));
    assert_eq!(consumed_entry("a".to_owned()).key(), "1x61");

    once!(matched(&Sort::Columns(2, String::new())));
    assert_eq!(matched_entry(&Sort::Name).key(), "0");

    let page = Page { size: 10, sort: Sort::Columns(2, "n".to_owned()) };
    once!(default(7, 0.5, page.clone(), vec![None, Some(1)], Unit, &Wrapped(5)));
    assert_eq!(
        default_entry(7, page, vec![None, Some(1)], Unit, &Wrapped(5)).key(),
        "7,(10,Columns(2,n)),2[-,+1],(),(5)"
    );
    let page = Page { size: 10, sort: Sort::Named { r#as: 'x' } };
    assert_eq!(default_entry(7, page, vec![], Unit, &Wrapped(5)).key(), "7,(10,Named(x)),0[],(),(5)");

    once!(constant(7));
    assert_eq!(constant_entry().key(), "all");
}
