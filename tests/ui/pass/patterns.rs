//! Arguments that are patterns, and `mut`.
#![deny(warnings)]

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use hybridcache::hybrid_cached;

static LOADS: AtomicU32 = AtomicU32::new(0);

struct Path<T>(T);

#[derive(Clone)]
struct Order {
    id: u64,
    lines: Vec<String>,
}

/// The default key holds every name that the patterns bind.
#[hybrid_cached(ttl = 1h)]
async fn bound(Path(id): Path<u64>, (a, mut b): (u8, u8), mut count: u32, _: Path<u8>) -> u64 {
    LOADS.fetch_add(1, Relaxed);
    b += a;
    count += u32::from(b);
    id + u64::from(count)
}

/// Names of a pattern can be skipped one by one.
#[hybrid_cached(ttl = 1h, skip(lines, pair))]
async fn skipped(Order { id, lines }: Order, pair @ (left, _): (u8, u8)) -> u64 {
    LOADS.fetch_add(1, Relaxed);
    id + lines.len() as u64 + u64::from(pair.1) + u64::from(left)
}

/// Behind a reference.
#[hybrid_cached(ttl = 1h, key = "{id}:{x}:{lines}", tags = ["order:{id}"])]
async fn behind(Order { id, lines: _ }: &Order, &(x, ref lines): &(u8, u32)) -> u64 {
    LOADS.fetch_add(1, Relaxed);
    id + u64::from(x) + u64::from(*lines)
}

#[tokio::test]
async fn runs() {
    for expected in [1, 1] {
        assert_eq!(bound(Path(7), (1, 2), 3, Path(0)).await, 13);
        assert_eq!(LOADS.load(Relaxed), expected);
    }
    assert_eq!(bound_entry(Path(7), (1, 2), 3).key(), "7,1,2,3");
    assert_eq!(bound_entry(Path(7), (1, 2), 3).get().await, Some(13));

    let order = Order { id: 7, lines: vec!["a".to_owned()] };
    for expected in [2, 2] {
        assert_eq!(skipped(order.clone(), (1, 2)).await, 11);
        assert_eq!(LOADS.load(Relaxed), expected);
    }
    assert_eq!(skipped_entry(order.clone(), (1, 3)).key(), "7,1");

    for expected in [3, 3] {
        assert_eq!(behind(&order, &(1, 2)).await, 10);
        assert_eq!(LOADS.load(Relaxed), expected);
    }
    assert_eq!(behind_entry(&order, &(1, 2)).key(), "7:1:2");
}
