//! Beside `#[instrument]`, above it and below it.
#![deny(warnings)]

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use hybridcache::{NoCache, hybrid_cached};
use tracing::instrument;

static LOADS: AtomicU32 = AtomicU32::new(0);

fn load(id: u64) -> Result<u64, anyhow::Error> {
    LOADS.fetch_add(1, Relaxed);
    Ok(id)
}

#[hybrid_cached(ttl = 1h, skip(name))]
#[instrument(skip(name))]
async fn below(id: u64, name: &str) -> Result<u64, anyhow::Error> {
    tracing::info!(name, "loading");
    match load(id)? {
        7 => Err(NoCache(7)),
        id => Ok(id),
    }
}

#[instrument]
#[hybrid_cached(ttl = 1h)]
async fn above(id: u64, name: &str) -> Result<u64, anyhow::Error> {
    tracing::info!(name, "loading");
    match load(id)? {
        7 => Err(NoCache(7)),
        id => Ok(id),
    }
}

#[instrument(err, skip_all, fields(id))]
#[hybrid_cached(ttl = 1h)]
async fn above_with_err(id: u64) -> Result<u64, anyhow::Error> {
    if load(id)? == 7 {
        return Err(NoCache(7));
    }
    Ok(id)
}

#[instrument(err, ret)]
#[hybrid_cached(ttl = 1h)]
async fn above_with_err_and_ret(id: u64) -> Result<u64, anyhow::Error> {
    if load(id)? == 7 { Err(NoCache(7)) } else { Ok(id) }
}

#[instrument(ret)]
#[hybrid_cached(ttl = 1h)]
async fn above_with_ret(id: u64) -> Result<u64, anyhow::Error> {
    if load(id)? == 7 { Err(NoCache(7)) } else { Ok(id) }
}

#[derive(Clone, Debug)]
struct Repo;

impl Repo {
    #[instrument]
    #[hybrid_cached(ttl = 1h, skip(self))]
    async fn method(&self, id: u64) -> Result<u64, anyhow::Error> {
        let _: &Self = self;
        if load(id)? == 7 { Err(NoCache(7)) } else { Ok(id) }
    }
}

/// How many loads a call takes when it is made twice.
macro_rules! loads {
    ($call:expr) => {{
        LOADS.store(0, Relaxed);
        assert_eq!($call.await.ok(), $call.await.ok());
        LOADS.load(Relaxed)
    }};
}

#[tokio::test]
async fn runs() {
    assert_eq!((loads!(below(1, "a")), loads!(below(7, "a"))), (1, 2));
    assert_eq!((loads!(above(1, "a")), loads!(above(7, "a"))), (1, 2));
    assert_eq!((loads!(above_with_err(1)), loads!(above_with_err(7))), (1, 2));
    assert_eq!((loads!(above_with_err_and_ret(1)), loads!(above_with_err_and_ret(7))), (1, 2));
    assert_eq!((loads!(above_with_ret(1)), loads!(above_with_ret(7))), (1, 2));
    assert_eq!((loads!(Repo.method(1)), loads!(Repo.method(7))), (1, 2));
}
