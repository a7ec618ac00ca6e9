//! Every kind of function that the attribute takes besides a free function, and every way to write a key.
//!
//! `cargo run --example methods`. Each line below is one function that is called twice: the first call asks the database,
//! the second does not. With `HYBRIDCACHE_REDIS_URL` set, over Redis.

use std::fmt::{Debug, Display};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hybridcache::{CacheKey, HybridCache, hybrid_cached};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Stands for a connection pool: cheap to clone, as they all are. It answers any question and counts them.
#[derive(Clone, Default)]
struct Db {
    queries: Arc<AtomicU64>,
}

impl Db {
    async fn ask(&self, question: impl Display) -> String {
        let nth = self.queries.fetch_add(1, Relaxed) + 1;
        format!("{question} (query {nth})")
    }
}

// ---------------------------------------------------------------------------------------------------- methods

/// A load runs in its own task and outlives its caller, so it works on a clone of `self`. Made of handles, as here,
/// that costs next to nothing, and it happens only when a load starts, never on a hit.
#[derive(Clone)]
struct Branch {
    city: String,
    db: Db,
    cache: HybridCache,
}

impl Branch {
    /// Two branches do not share their stock: `self.city` is in the key.
    #[hybrid_cached(ttl = 1h, key = "{self.city}:{isbn}")]
    async fn stock(&self, isbn: &str) -> String {
        self.db.ask(format!("stock of {isbn} in {}", self.city)).await
    }

    /// All branches share the catalogue. `skip(self)` says so; without it this does not compile.
    #[hybrid_cached(ttl = 1h, key = "{isbn}", skip(self))]
    async fn title(&self, isbn: &str) -> String {
        self.db.ask(format!("title of {isbn}")).await
    }

    /// Kept in a cache of its own, which the branch brings along, and not in the installed one.
    #[hybrid_cached(ttl = 1h, key = "{self.city}", cache = self.cache)]
    async fn staff(&self) -> String {
        self.db.ask(format!("staff in {}", self.city)).await
    }

    /// Without `self` a macro cannot see which type it is in, so an associated function is named by hand.
    #[hybrid_cached(ttl = 1h, name = "Branch::cities", key = "{country}")]
    async fn cities(db: &Db, country: &str) -> String {
        db.ask(format!("cities in {country}")).await
    }
}

/// Not `Clone`.
struct Warehouse {
    city: String,
    db: Db,
}

impl Warehouse {
    /// A load takes an `Arc<Self>` along as it is.
    #[hybrid_cached(ttl = 1h, key = "{self.city}")]
    async fn address(self: Arc<Self>) -> String {
        self.db.ask(format!("address in {}", self.city)).await
    }
}

// ----------------------------------------------------------------------------------------------------- traits

trait Catalogue {
    fn author(&self, isbn: &str) -> impl Future<Output = String> + Send;
}

impl Catalogue for Branch {
    /// An entry handle would be no member of the trait, so there is none.
    #[hybrid_cached(ttl = 1h, key = "{isbn}", skip(self), entry = false)]
    async fn author(&self, isbn: &str) -> String {
        self.db.ask(format!("author of {isbn}")).await
    }
}

/// For `dyn` there is `#[async_trait]`, and the attribute works under it.
#[async_trait::async_trait]
trait Reviews: Send + Sync {
    async fn rating(&self, isbn: &str) -> String;
}

#[async_trait::async_trait]
impl Reviews for Branch {
    #[hybrid_cached(ttl = 1h, key = "{isbn}", skip(self), entry = false)]
    async fn rating(&self, isbn: &str) -> String {
        self.db.ask(format!("rating of {isbn}")).await
    }
}

// --------------------------------------------------------------------------------------------------- generics

/// A row of some table.
trait Row: From<String> + Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    const TABLE: &'static str;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Customer(String);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Invoice(String);

impl From<String> for Customer {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<String> for Invoice {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Row for Customer {
    const TABLE: &'static str = "customers";
}

impl Row for Invoice {
    const TABLE: &'static str = "invoices";
}

/// Customer 7 and invoice 7 are two entries: the type parameters are part of the function's name.
#[hybrid_cached(ttl = 1h, key = "{id}")]
async fn row<R: Row>(db: &Db, id: u64) -> R {
    R::from(db.ask(format!("{} {id}", R::TABLE)).await)
}

// ------------------------------------------------------------------------------------------------------- keys

/// What a search asks for, as one part of a key.
#[derive(Clone, CacheKey)]
struct Search {
    words: Vec<String>,
    in_stock: Option<bool>,
    order: Order,
}

#[derive(Clone, Copy, CacheKey)]
enum Order {
    Newest,
    Price { descending: bool },
}

/// Without `key`, all arguments that are not in `skip` are the key: each of them implements `CacheKey`.
#[hybrid_cached(ttl = 1h, skip(db, request_id))]
async fn search(db: &Db, search: &Search, page: u32, request_id: &str) -> String {
    db.ask(format!("page {page} for {:?}, asked by {request_id}", search.words)).await
}

/// A key can be any expression. This one sends `978-1-7185-0310-6` and `9781718503106` to the same entry.
#[hybrid_cached(ttl = 1h, key = (shop, isbn.replace('-', "")))]
async fn price(db: &Db, shop: u32, isbn: &str) -> String {
    db.ask(format!("price of {isbn} in shop {shop}")).await
}

/// Patterns and `impl Trait` are arguments like others.
#[hybrid_cached(ttl = 1h, key = "{latitude},{longitude}", name = "nearest", entry = false)]
async fn nearest(
    db: &Db,
    (latitude, longitude): (i32, i32),
    describe: impl Fn(i32) -> String + Send + 'static,
) -> String {
    db.ask(format!("branch near {} and {}", describe(latitude), describe(longitude))).await
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    installed().await?;
    let own = HybridCache::builder().build().await?;
    let db = Db::default();
    let oslo = Branch { city: "Oslo".into(), db: db.clone(), cache: own.clone() };
    let rome = Branch { city: "Rome".into(), ..oslo.clone() };
    let isbn = "978-1-7185-0310-6";

    println!("methods");
    let in_oslo = once(&db, "&self, its city in the key", || oslo.stock(isbn)).await;
    let in_rome = once(&db, "the same of another branch", || rome.stock(isbn)).await;
    assert_ne!(in_oslo, in_rome, "two branches share no stock");
    let title = once(&db, "&self, skip(self)", || oslo.title(isbn)).await;
    assert_eq!(title, rome.title(isbn).await, "they share the catalogue");
    let warehouse = Arc::new(Warehouse { city: "Bergen".into(), db: db.clone() });
    once(&db, "self: Arc<Self>", || warehouse.clone().address()).await;
    once(&db, "cache = self.cache", || oslo.staff()).await;
    assert_eq!((own.stats().loads, own.memory_entries()), (1, 1), "only `staff` is in the branch's own cache");
    once(&db, "associated function", || Branch::cities(&db, "Norway")).await;

    println!("\ntraits");
    once(&db, "trait, entry = false", || oslo.author(isbn)).await;
    let reviews: Box<dyn Reviews> = Box::new(oslo.clone());
    once(&db, "#[async_trait], as dyn", || reviews.rating(isbn)).await;

    println!("\ngenerics");
    once(&db, "row::<Customer>", || row::<Customer>(&db, 7)).await;
    once(&db, "row::<Invoice>", || row::<Invoice>(&db, 7)).await;

    println!("\nkeys");
    let newest = Search { words: vec!["rust".into()], in_stock: Some(true), order: Order::Newest };
    let dearest = Search { order: Order::Price { descending: true }, ..newest.clone() };
    let found = once(&db, "derive(CacheKey), skip(..)", || search(&db, &newest, 1, "request a8f3")).await;
    assert_eq!(found, search(&db, &newest, 1, "request 10b7").await, "who asks makes no difference");
    once(&db, "another order, another entry", || search(&db, &dearest, 1, "request 77c0")).await;
    let dashed = once(&db, "key = an expression", || price(&db, 1, isbn)).await;
    assert_eq!(dashed, price(&db, 1, "9781718503106").await, "the key leaves the dashes out");
    once(&db, "patterns and impl Trait", || nearest(&db, (60, 11), |degrees| format!("{degrees}°"))).await;

    println!("\nentry handles: beside the function, with the arguments that its key uses");
    for key in [
        oslo.stock_entry(isbn).key(),
        Branch::cities_entry("Norway").key(),
        row_entry::<Invoice>(7).key(),
        search_entry(&dearest, 1).key(),
        price_entry(1, isbn).key(),
    ] {
        println!("{key:>34}");
    }
    rome.stock_entry(isbn).invalidate().await?;
    assert_eq!(oslo.stock(isbn).await, in_oslo, "Rome's entry was invalidated, not Oslo's");
    assert_ne!(rome.stock(isbn).await, in_rome);
    Ok(())
}

/// The cache of all functions that name none.
async fn installed() -> anyhow::Result<()> {
    // A namespace of its own, and empty: what another run left in Redis would spoil the counting.
    let mut builder = HybridCache::builder().namespace(format!("methods-{}", std::process::id()));
    if let Ok(url) = std::env::var("HYBRIDCACHE_REDIS_URL") {
        builder = builder.redis(url);
    }
    let cache = builder.build().await?;
    cache.clear().await?;
    cache.install()?;
    Ok(())
}

/// Calls a function twice, and says what it returned. Only the first call may ask the database.
async fn once<T, F>(db: &Db, what: &str, call: impl Fn() -> F) -> T
where
    T: Debug + PartialEq,
    F: Future<Output = T>,
{
    let queries = db.queries.load(Relaxed);
    let first = call().await;
    let second = call().await;
    assert_eq!(first, second, "{what}: both calls get the same");
    assert_eq!(db.queries.load(Relaxed) - queries, 1, "{what}: only the first call asks the database");
    println!("{what:>34}  {first:?}");
    first
}
