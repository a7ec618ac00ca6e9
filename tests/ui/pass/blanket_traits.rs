//! Traits of the user's that every type has, with methods by which a library might call itself.
//! Killed by: a method call in the expansion by any of these names.
#![forbid(unreachable_code, unused_braces, clippy::diverging_sub_expression)]
#![allow(clippy::new_ret_no_self, clippy::wrong_self_convention, reason = "all methods are alike")]

use hybridcache::{CacheKey, hybrid_cached, hybrid_evict};

macro_rules! blanket {
    ($($trait:ident $method:ident)*) => {$(
        #[allow(dead_code)]
        trait $trait: Sized {
            fn $method(self) {}
        }
        impl<T> $trait for T {}
    )*};
}
blanket! {
    Shape shape Returns returns Checked checked Write write Exact exact Template template Get get Literal literal New new
    Entry entry Tag tag Cancel cancel Run run Join join Load load Timeout timeout Weigh weigh UnlessErr unless_err Shared shared
    Lifetimes lifetimes MemoryOnly memory_only
}

#[derive(Clone, CacheKey)]
enum Period {
    All,
    Days(u16),
}

#[hybrid_cached(ttl = 1m, timeout = 2s, key = "{id}", tags = ["id:{id}"], weigh = |value: &u64| *value as usize)]
async fn fallible(name: &str, id: u64) -> anyhow::Result<u64> {
    Ok(id + name.len() as u64)
}

#[hybrid_cached(ttl = 1m)]
async fn plain(period: Period) -> Option<u16> {
    match period {
        Period::All => None,
        Period::Days(days) => Some(days),
    }
}

#[hybrid_cached(ttl = 1m)]
async fn diverges(id: u64) -> u64 {
    panic!("{id}")
}

#[hybrid_cached(ttl = 1m, key = (_id, 1))]
async fn underscored(_id: u64, _name: &str) -> u64 {
    7
}

#[hybrid_evict(fallible(id), tags = ["id:{id}"])]
async fn written(id: u64) -> Result<(), std::io::Error> {
    Ok(())
}

/// The test is in `main.rs`: what `#[tokio::test]` allows is forbidden here.
pub(crate) async fn runs() {
    assert_eq!(fallible("ab", 1).await.ok(), Some(3));
    assert_eq!(plain(Period::Days(3)).await, Some(3));
    assert_eq!(plain(Period::All).await, None);
    assert_eq!(underscored(1, "a").await, 7);
    written(1).await.unwrap();
    drop(diverges(1));
}
