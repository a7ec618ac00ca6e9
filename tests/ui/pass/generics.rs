//! Parameters of functions and of their types. No two instantiations share an entry.
#![deny(warnings)]

use std::fmt::{Debug, Display};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use hybridcache::{CacheKey, hybrid_cached};
use serde::Serialize;
use serde::de::DeserializeOwned;

static LOADS: AtomicU32 = AtomicU32::new(0);

fn loads() -> u32 {
    LOADS.swap(0, Relaxed)
}

#[hybrid_cached(ttl = 1h, skip(seed))]
async fn made<T>(seed: T, id: u64) -> T
where
    T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static,
{
    LOADS.fetch_add(1, Relaxed);
    let _ = id;
    seed
}

#[hybrid_cached(ttl = 1h)]
async fn sized<const N: usize, const SIGNED: bool, const UNIT: char>(id: u64) -> String {
    LOADS.fetch_add(1, Relaxed);
    format!("{N}{SIGNED}{UNIT}{id}")
}

#[hybrid_cached(ttl = 1h)]
async fn shown(
    a: impl Display + CacheKey + Send + 'static,
    b: &(impl Debug + CacheKey + Clone + Send + Sync + 'static),
) -> String {
    LOADS.fetch_add(1, Relaxed);
    format!("{a} {b:?}")
}

#[hybrid_cached(ttl = 1h, skip(source), name = "read")]
async fn read(source: impl Fn() -> u32 + Send + 'static, id: u8) -> u32 {
    LOADS.fetch_add(1, Relaxed);
    source() + u32::from(id)
}

#[hybrid_cached(ttl = 1h)]
async fn borrowed<'a, 'b: 'a>(left: &'a str, right: &'b str, fixed: &'static str) -> String {
    LOADS.fetch_add(1, Relaxed);
    format!("{left}{right}{fixed}")
}

struct Table<T, const N: usize>(PhantomData<T>);

impl<T, const N: usize> Clone for Table<T, N> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<T: Default + Debug + Send + Sync + 'static, const N: usize> Table<T, N> {
    #[hybrid_cached(ttl = 1h, skip(self))]
    async fn row(&self, id: u64) -> String {
        LOADS.fetch_add(1, Relaxed);
        let Self(kind) = self;
        let _: &PhantomData<T> = kind;
        format!("{:?} {N} {id}", T::default())
    }
}

#[tokio::test]
async fn runs() {
    assert_eq!((made(1_u8, 7).await, made(2_u8, 7).await), (1, 1));
    assert_eq!(made("x".to_owned(), 7).await, "x");
    assert_eq!(loads(), 2);
    assert_eq!(made_entry::<u8>(7).get().await, Some(1));
    assert_eq!(made_entry::<u64>(7).get().await, None);

    assert_eq!(sized::<1, true, 'm'>(7).await, "1truem7");
    assert_eq!(sized::<2, true, 'm'>(7).await, "2truem7");
    assert_eq!(sized::<1, false, 'm'>(7).await, "1falsem7");
    assert_eq!(sized::<1, true, 's'>(7).await, "1trues7");
    assert_eq!(sized::<1, true, 's'>(7).await, "1trues7");
    assert_eq!(loads(), 4);
    assert_eq!(sized_entry::<1, false, 'm'>(7).get().await.as_deref(), Some("1falsem7"));

    assert_eq!(shown(1_u8, &"x").await, "1 \"x\"");
    assert_eq!(shown(1_u64, &"x").await, "1 \"x\"");
    assert_eq!(loads(), 2);
    assert_eq!(shown_entry(1_u64, &"x").get().await.as_deref(), Some("1 \"x\""));

    assert_eq!((read(|| 1, 7).await, read(|| 2, 7).await), (8, 8));
    assert_eq!(read_entry(7).get().await, Some(8));
    assert_eq!(loads(), 1);

    let local = "l".to_owned();
    assert_eq!(borrowed(&local, "r", "f").await, "lrf");
    assert_eq!(borrowed_entry(&local, "r", "f").get().await.as_deref(), Some("lrf"));
    assert_eq!(loads(), 1);

    assert_eq!(Table::<u8, 1>(PhantomData).row(7).await, "0 1 7");
    assert_eq!(Table::<bool, 1>(PhantomData).row(7).await, "false 1 7");
    assert_eq!(Table::<u8, 2>(PhantomData).row(7).await, "0 2 7");
    assert_eq!(Table::<u8, 2>(PhantomData).row(7).await, "0 2 7");
    assert_eq!(loads(), 3);
    assert_eq!(Table::<bool, 1>::row_entry(7).get().await.as_deref(), Some("false 1 7"));
}
