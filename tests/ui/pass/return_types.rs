//! What is stored of a `Result` under any alias, of an `Option`, and of anything else.
#![deny(warnings)]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use hybridcache::{LoadError, NoCache, hybrid_cached};

static LOADS: AtomicU32 = AtomicU32::new(0);

fn loads() -> u32 {
    LOADS.swap(0, Relaxed)
}

/// Neither `Clone` nor made from a `LoadError`, as errors of drivers are.
#[derive(Debug)]
struct DriverError;

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("driver")
    }
}

impl std::error::Error for DriverError {}

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("driver")]
    Driver(#[from] DriverError),
}

type Fallible<T> = Result<T, AppError>;

fn query(id: u64) -> Result<u64, DriverError> {
    LOADS.fetch_add(1, Relaxed);
    if id == 0 { Err(DriverError) } else { Ok(id) }
}

#[hybrid_cached(ttl = 1h)]
async fn driver(id: u64) -> Result<u64, DriverError> {
    query(id)
}

#[hybrid_cached(ttl = 1h, timeout = 20s)]
async fn alias(id: u64) -> Fallible<u64> {
    Ok(query(id)?)
}

#[hybrid_cached(ttl = 1h, timeout = 20s)]
async fn anyhow(id: u64) -> anyhow::Result<u64> {
    Ok(query(id)?)
}

#[hybrid_cached(ttl = 1h, timeout = 20s)]
async fn boxed(id: u64) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    Ok(query(id)?)
}

#[hybrid_cached(ttl = 1h, timeout = 20s)]
async fn by_type(id: u64) -> Result<u64, NoCache<u64>> {
    let helper = |id| Err(NoCache(id));
    match query(id) {
        Ok(7) => helper(7),
        Ok(id) => Ok(id),
        Err(_) => Err(NoCache(0)),
    }
}

#[hybrid_cached(ttl = 1h)]
async fn option(id: u64) -> Option<u64> {
    query(id).ok()
}

#[hybrid_cached(ttl = 1h)]
async fn plain(id: u64) -> (u64, bool) {
    (id, query(id).is_ok())
}

#[hybrid_cached(ttl = 1h)]
async fn shared(id: u64) -> Result<Arc<str>, DriverError> {
    Ok(query(id)?.to_string().into())
}

#[hybrid_cached(ttl = 1h, tier = memory)]
async fn unserializable(id: u64) -> Arc<dyn Fn() -> u64 + Send + Sync> {
    LOADS.fetch_add(1, Relaxed);
    Arc::new(move || id)
}

#[tokio::test]
async fn runs() {
    assert!(driver(7).await.is_ok() && driver(7).await.is_ok());
    assert_eq!(loads(), 1);
    assert!(driver(0).await.is_err() && driver(0).await.is_err());
    assert_eq!(loads(), 2, "an error is never stored");

    assert_eq!((alias(7).await.ok(), alias(7).await.ok()), (Some(7), Some(7)));
    assert!(matches!(alias(0).await, Err(AppError::Driver(_))));
    assert_eq!((anyhow(7).await.ok(), anyhow(7).await.ok()), (Some(7), Some(7)));
    assert!(anyhow(0).await.is_err_and(|error| error.is::<DriverError>()));
    assert_eq!((boxed(7).await.ok(), boxed(7).await.ok()), (Some(7), Some(7)));
    assert_eq!(loads(), 5);

    assert_eq!((by_type(7).await.ok(), by_type(7).await.ok()), (Some(7), Some(7)));
    assert_eq!(loads(), 2, "told by its type");
    assert_eq!((by_type(8).await.ok(), by_type(8).await.ok()), (Some(8), Some(8)));
    assert_eq!((by_type(0).await.ok(), by_type(0).await.ok()), (Some(0), Some(0)));
    assert_eq!(loads(), 3);

    assert_eq!((option(7).await, option(7).await), (Some(7), Some(7)));
    assert_eq!((option(0).await, option(0).await), (None, None));
    assert_eq!(loads(), 2, "`None` is stored");
    assert_eq!(option_entry(0).get().await, Some(None));

    assert_eq!((plain(7).await, plain(7).await), ((7, true), (7, true)));
    let (first, second) = (shared(7).await, shared(7).await);
    assert!(first.is_ok_and(|first| second.is_ok_and(|second| Arc::ptr_eq(&first, &second))), "a hit copies nothing");
    assert_eq!(((unserializable(7).await)(), (unserializable(7).await)()), (7, 7));
    assert_eq!(loads(), 3);
}
