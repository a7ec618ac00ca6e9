//! The story of one cached function, with numbers measured while it runs.
//!
//! `cargo run --example quickstart` needs nothing but Rust. With `HYBRIDCACHE_REDIS_URL` set, the same over Redis.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hybridcache::{HybridCache, LoadError, NoCache, hybrid_cached};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    provisional: bool,
    version: u64,
}

#[derive(Clone, Debug, thiserror::Error)]
enum AppError {
    #[error("no such user")]
    NotFound,
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// In place of a database: it takes 40 ms, and counts.
#[derive(Clone)]
struct Db;

static QUERIES: AtomicU64 = AtomicU64::new(0);

impl Db {
    async fn fetch_user(&self, id: u64) -> Result<User, AppError> {
        let version = QUERIES.fetch_add(1, Relaxed) + 1;
        tokio::time::sleep(Duration::from_millis(40)).await;
        match id {
            0 => Err(AppError::NotFound),
            id => Ok(User { id, name: format!("user {id}"), provisional: id >= 1000, version }),
        }
    }
}

#[hybrid_cached(timeout = 20s, fresh_for = 1s, ttl = 1h, key = "user:{id}")]
async fn user(db: &Db, id: u64) -> Result<User, AppError> {
    let user = db.fetch_user(id).await?;
    if user.provisional {
        return Err(NoCache(user)); // the caller gets Ok(user); nothing is stored
    }
    Ok(user)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cache = HybridCache::from_env().await?;
    cache.install()?;
    let redis = std::env::var("HYBRIDCACHE_REDIS_URL").is_ok();
    println!("tiers: memory{}\n", if redis { " and Redis" } else { " (set HYBRIDCACHE_REDIS_URL for Redis too)" });
    // An earlier run may have left these in Redis.
    for id in [7, 8, 1000] {
        user_entry(id).invalidate().await?;
    }
    let db = Db;

    step("a cold call loads", || user(&db, 7)).await?;
    step("the same again is a hit in memory", || user(&db, 7)).await?;
    println!("{:>44}  {:?} per hit, over 100,000 hits", "", per_hit(&db).await?);

    println!("\n... 1.1 s pass: the value is stale now (fresh_for = 1s) ...");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let stale = step("a stale hit returns at once", || user(&db, 7)).await?;
    let refreshed = wait_for_newer(&db, stale.version).await?;
    println!("{:>44}  version {} came in the background, version {} is served now", "", refreshed, refreshed);

    println!();
    step("a provisional user is returned, not stored", || user(&db, 1000)).await?;
    step("so the next call loads again", || user(&db, 1000)).await?;

    println!();
    let (queries, began) = (QUERIES.load(Relaxed), Instant::now());
    let callers: Vec<_> = (0..1000).map(|_| tokio::spawn(user(&Db, 8))).collect();
    for caller in callers {
        caller.await??;
    }
    let loads = QUERIES.load(Relaxed) - queries;
    println!("{:>44}  {:?}, {loads} query", "1,000 callers on one cold key", began.elapsed());

    println!("\n{:#?}", cache.stats());
    Ok(())
}

/// Times one call and counts its queries.
async fn step<F>(what: &str, call: impl FnOnce() -> F) -> Result<User, AppError>
where
    F: Future<Output = Result<User, AppError>>,
{
    let (queries, began) = (QUERIES.load(Relaxed), Instant::now());
    let user = call().await?;
    let took = began.elapsed();
    let queries = QUERIES.load(Relaxed) - queries;
    println!("{what:>44}  {took:?}, {queries} queries, {} (version {})", user.name, user.version);
    Ok(user)
}

async fn per_hit(db: &Db) -> Result<Duration, AppError> {
    let began = Instant::now();
    for _ in 0..100_000 {
        std::hint::black_box(user(db, 7).await?);
    }
    Ok(began.elapsed() / 100_000)
}

/// The refresh takes as long as the database; until it lands, calls get the stale value.
async fn wait_for_newer(db: &Db, version: u64) -> Result<u64, AppError> {
    loop {
        let now = user(db, 7).await?.version;
        if now != version {
            return Ok(now);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
