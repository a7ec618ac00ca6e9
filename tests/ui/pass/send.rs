//! The future of a cached function can be spawned wherever that of the plain function could.
#![deny(warnings)]

use std::cell::Cell;
use std::error::Error;

use hybridcache::{CacheKey, LoadError, NoCache, hybrid_cached};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// `Sync` behind a lock only, so that a borrow across an `await` that should not be there would show.
#[derive(Clone)]
struct Db(std::sync::Arc<std::sync::Mutex<Cell<u64>>>);

#[hybrid_cached(ttl = 1h, skip(db), timeout = 20s)]
async fn boxed_error(db: &Db, id: u64, name: &str) -> Result<u64, Box<dyn Error + Send + Sync>> {
    let value = db.0.lock().map_err(|_| "poisoned")?.get();
    if id == 0 {
        return Err(NoCache(value));
    }
    Ok(value + id + name.len() as u64)
}

#[hybrid_cached(ttl = 1h, timeout = 20s)]
async fn any_error(id: u64) -> anyhow::Result<u64> {
    tokio::task::yield_now().await;
    Ok(id)
}

#[hybrid_cached(ttl = 1h)]
async fn generic<T>(value: T) -> Result<T, LoadError>
where
    T: CacheKey + Clone + Send + Sync + Serialize + DeserializeOwned + 'static,
{
    Ok(value)
}

/// Where only the bounds are known.
async fn within_a_generic_function<T>(value: T) -> Option<T>
where
    T: CacheKey + Clone + Send + Sync + Serialize + DeserializeOwned + 'static,
{
    tokio::spawn(generic(value)).await.ok()?.ok()
}

#[tokio::test]
async fn runs() {
    let db = Db(std::sync::Arc::new(std::sync::Mutex::new(Cell::new(1))));
    let spawned = tokio::spawn(async move { boxed_error(&db, 7, "ab").await.ok() });
    assert_eq!(spawned.await.expect("no panic"), Some(10));
    assert_eq!(tokio::spawn(any_error(7)).await.expect("no panic").ok(), Some(7));
    assert_eq!(within_a_generic_function(7_u8).await, Some(7));
}
