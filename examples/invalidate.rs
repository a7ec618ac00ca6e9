//! A reader, a writer, and every way to invalidate what has changed.
//!
//! `cargo run --example invalidate`. With `HYBRIDCACHE_REDIS_URL` set there are two readers, as in two processes of one
//! service: each has its own memory, and they share the Redis. Every line says what each reader was given, and the
//! queries that this took.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use hybridcache::{HybridCache, bypass, hybrid_cached, hybrid_evict, refresh};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};
use tokio::time::{sleep, timeout};

#[derive(Clone, Copy)]
struct Book {
    publisher: &'static str,
    id: u64,
}

const RUST: Book = Book { publisher: "no-starch", id: 1 };
const LINUX: Book = Book { publisher: "no-starch", id: 2 };
const ATLAS: Book = Book { publisher: "penguin", id: 3 };

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("book {0} is not for sale")]
struct NotForSale(u64);

/// One process of the service: what it knows of the cache, and the database that all of them ask.
#[derive(Clone)]
struct Shop {
    cache: HybridCache,
    db: Database,
}

impl Shop {
    /// A price in cents. `shop.price_entry(book)` comes with it, the handle of one entry: it takes those arguments that
    /// `key`, `tags` and `cache` use.
    #[hybrid_cached(
        name = "price",
        fresh_for = 5m,
        ttl = 1h,
        key = "book:{book.id}",
        tags = ["publisher:{book.publisher}"],
        cache = self.cache,
        skip(self)
    )]
    async fn price(&self, book: Book) -> Result<u64, NotForSale> {
        self.db.price(book.id).await
    }

    /// Says itself what it makes out of date. The target takes the arguments of `price_entry`.
    #[hybrid_evict(self.price(book))]
    async fn set_price(&self, book: Book, cents: u64) {
        self.db.set(book, cents);
    }

    /// Calls until the price is this.
    async fn wait_for(&self, book: Book, price: u64) {
        let deadline = Instant::now() + PATIENCE;
        while self.price(book).await != Ok(price) {
            assert!(Instant::now() < deadline, "the price does not become {price}");
            sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let readers = Readers::connect().await?;
    let [shop, ..] = readers.0.as_slice() else { unreachable!("there is one reader at least") };
    let db = &shop.db;
    for (book, cents) in [(RUST, 100), (LINUX, 200), (ATLAS, 300)] {
        db.set(book, cents);
    }

    title("Nothing is cached yet: the first call loads, in the whole fleet");
    assert_eq!(shop.price_entry(RUST).get().await, None, "get() never loads");
    readers.see("first call", RUST, 100).await.with_queries(1);
    readers.see("second call", RUST, 100).await.with_queries(0);

    title("Writing to the database alone: readers do not notice before fresh_for has passed");
    db.set(RUST, 110);
    readers.see("after the write", RUST, 100).await.with_queries(0);

    title("invalidate(): everybody forgets it, the next call loads");
    shop.price_entry(RUST).invalidate().await?;
    readers.see("after invalidate()", RUST, 110).await.with_queries(1);

    title("#[hybrid_evict] on the function that writes: the same, and no caller can forget it");
    shop.set_price(RUST, 115).await;
    readers.see("after set_price(115)", RUST, 115).await.with_queries(1);

    title("put(): write-through, no caller has to load");
    db.set(RUST, 120);
    shop.price_entry(RUST).put(120).await?;
    readers.see("after put(120)", RUST, 120).await.with_queries(0);

    title("expire(): no caller waits; the next call returns the old value and refreshes in the background");
    db.set(RUST, 130);
    shop.price_entry(RUST).expire().await?;
    let queries = db.queries();
    assert_eq!(shop.price(RUST).await?, 120, "a stale hit");
    println!("{:>28}: 120, at once", "the next call");
    shop.wait_for(RUST, 130).await;
    readers.see("a moment later", RUST, 130).await;
    assert_eq!(db.queries() - queries, 1, "one refresh in the whole fleet");

    title("invalidate_tag(): all prices of one publisher, and no others");
    readers.see("linux, from no-starch", LINUX, 200).await;
    readers.see("atlas, from penguin", ATLAS, 300).await;
    for (book, cents) in [(RUST, 140), (LINUX, 240), (ATLAS, 340)] {
        db.set(book, cents);
    }
    shop.cache.invalidate_tag("publisher:no-starch").await?;
    readers.see("rust, from no-starch", RUST, 140).await.with_queries(1);
    readers.see("linux, from no-starch", LINUX, 240).await.with_queries(1);
    readers.see("atlas, from penguin", ATLAS, 300).await.with_queries(0);

    title("invalidate_function(): all that one function has stored");
    shop.cache.invalidate_function("price").await?;
    readers.see("atlas", ATLAS, 340).await.with_queries(1);
    readers.see("rust", RUST, 140).await.with_queries(1);

    title("clear(): the whole namespace");
    shop.cache.clear().await?;
    readers.see("atlas", ATLAS, 340).await.with_queries(1);

    title("refresh(..) and bypass(..): for one call, without a handle");
    db.set(ATLAS, 350);
    assert_eq!(bypass(shop.price(ATLAS)).await?, 350, "bypass asks the database");
    assert_eq!(shop.price(ATLAS).await?, 340, "and stores nothing");
    println!("{:>28}: 350, and calls without it still get 340", "bypass(price(..))");
    assert_eq!(refresh(shop.price(ATLAS)).await?, 350, "refresh asks the database");
    assert_eq!(shop.price(ATLAS).await?, 350, "and stores the answer");
    println!("{:>28}: 350, and so do calls from now on", "refresh(price(..))");

    title("invalidate() while a load runs: what was read before it is never stored");
    invalidate_during_a_load(shop, &readers).await
}

/// The race that a cache must not lose: a slow query reads the old row, the row changes, the entry is invalidated, and only
/// then the slow query comes back with what it read.
async fn invalidate_during_a_load(shop: &Shop, readers: &Readers) -> anyhow::Result<()> {
    shop.price_entry(RUST).invalidate().await?;
    let queries = shop.db.queries();
    let held = shop.db.hold_answers().await;
    let slow = tokio::spawn({
        let shop = shop.clone();
        async move { shop.price(RUST).await }
    });
    let begun = async {
        while shop.db.queries() == queries {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, begun).await.context("the load does not begin")?;
    shop.db.set(RUST, 150);
    shop.price_entry(RUST).invalidate().await?;
    drop(held);
    assert_eq!(slow.await??, 140, "the caller who asked before the change gets what its load has read");
    println!("{:>28}: 140", "the caller from before");
    readers.see("everybody from now on", RUST, 150).await.with_queries(1);
    Ok(())
}

fn title(what: &str) {
    println!("\n{what}");
}

/// Everybody who calls the function: this process, and with Redis another one.
struct Readers(Vec<Shop>);

impl Readers {
    async fn connect() -> anyhow::Result<Self> {
        let redis = std::env::var("HYBRIDCACHE_REDIS_URL").ok();
        let names: &[&str] = if redis.is_some() { &["this process", "another"] } else { &["this process"] };
        println!("readers: {}", names.join(" and "));
        let (db, mut readers) = (Database::default(), Vec::new());
        for _ in names {
            // A namespace of its own, so that runs do not see each other's entries. And patience, so that queries can be
            // counted on a busy machine too: by default a call goes on without Redis after 50 ms.
            let namespace = format!("invalidate-{}", std::process::id());
            let mut cache = HybridCache::builder().namespace(namespace).redis_budget(PATIENCE);
            if let Some(url) = &redis {
                cache = cache.redis(url);
            }
            let cache = cache.build().await?;
            cache.clear().await.context("HYBRIDCACHE_REDIS_URL is set, and that Redis is needed here")?;
            readers.push(Shop { cache, db: db.clone() });
        }
        Ok(Self(readers))
    }

    /// Has every reader call the function.
    ///
    /// The process that invalidates sees the effect at once. The others hear of it by a message, so they are given a
    /// moment.
    async fn see<'a>(&self, when: &'a str, book: Book, price: u64) -> Seen<'a> {
        let queries = self.0[0].db.queries();
        for (nth, reader) in self.0.iter().enumerate() {
            if nth > 0 {
                reader.wait_for(book, price).await;
            }
            assert_eq!(reader.price(book).await, Ok(price), "{when}, reader {nth}");
        }
        let queries = self.0[0].db.queries() - queries;
        let prices = vec![price.to_string(); self.0.len()];
        println!("{when:>28}: {}, {queries} {}", prices.join(" and "), if queries == 1 { "query" } else { "queries" });
        Seen { when, queries }
    }
}

struct Seen<'a> {
    when: &'a str,
    queries: u64,
}

impl Seen<'_> {
    /// How many queries it takes to answer all readers.
    fn with_queries(self, queries: u64) {
        assert_eq!(self.queries, queries, "queries for all readers together, {}", self.when);
    }
}

const PATIENCE: Duration = Duration::from_secs(5);

/// Stands for a database: it counts queries, and its answers can be held back.
#[derive(Clone, Default)]
struct Database {
    cents: Arc<Mutex<HashMap<u64, u64>>>,
    queries: Arc<AtomicU64>,
    answers: Arc<RwLock<()>>,
}

impl Database {
    async fn price(&self, book: u64) -> Result<u64, NotForSale> {
        let cents = self.rows().get(&book).copied();
        self.queries.fetch_add(1, Relaxed);
        let _not_held = self.answers.read().await;
        cents.ok_or(NotForSale(book))
    }

    fn set(&self, book: Book, cents: u64) {
        self.rows().insert(book.id, cents);
    }

    fn queries(&self) -> u64 {
        self.queries.load(Relaxed)
    }

    /// Until the guard is dropped, queries have read their rows and do not come back.
    async fn hold_answers(&self) -> OwnedRwLockWriteGuard<()> {
        self.answers.clone().write_owned().await
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        self.cents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
