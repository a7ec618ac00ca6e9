//! A bookshop: an HTTP service with axum in front of SQLite, in several replicas, without and with the cache.
//!
//! - `cargo run --example axum_service` makes a catalogue of 20,000 books, starts three replicas, sends them visitors for
//!   a few seconds, first without the cache and then with it, and prints what it measured. With
//!   `HYBRIDCACHE_REDIS_URL` set the replicas are processes that share that Redis; else each has its own memory only.
//! - `cargo run --example axum_service -- --serve` serves one replica on port 3000 of this machine, to try with curl;
//!   `--serve 8080` on another.
//!
//! The cached functions are in `shop.rs`.

mod catalogue;
mod client;
mod database;
mod fleet;
mod random;
mod routes;
mod shop;
mod traffic;
#[rustfmt::skip] // Lists of words, as many to a line as fit.
mod words;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::Connection;
use tokio::net::TcpListener;

use fleet::{Fleet, REPLICA, run_replica};
use routes::{Counters, routes};
use shop::Shop;
use traffic::{Observed, VISITORS, visit};

const REPLICAS: usize = 3;
const DURATION: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => compare().await,
        ["--serve"] => serve(3000).await,
        ["--serve", port] => serve(port.parse()?).await,
        [REPLICA, database, cached] => Ok(run_replica(database.as_ref(), cached.parse()?).await?),
        _ => anyhow::bail!("usage: axum_service [--serve [port]]"),
    }
}

/// Measures both ways and prints them side by side.
async fn compare() -> anyhow::Result<()> {
    let directory = Directory::new()?;
    let database = catalogue(&directory)?;
    let shared = std::env::var_os("HYBRIDCACHE_REDIS_URL").is_some();
    match shared {
        true => println!("{REPLICAS} replicas: processes that share the Redis of HYBRIDCACHE_REDIS_URL"),
        false => println!(
            "{REPLICAS} replicas, each with its own memory (set HYBRIDCACHE_REDIS_URL for processes that share a Redis)"
        ),
    }
    println!("{VISITORS} visitors come for {DURATION:?} without the cache, and for {DURATION:?} with it ...\n");
    let without = measure(&database, false, shared).await?;
    let with = measure(&database, true, shared).await?;
    print_table(&without, &with);
    check(&without, &with, shared);
    Ok(())
}

struct Measured {
    observed: Observed,
    counters: Counters,
}

impl Measured {
    fn requests(&self) -> u64 {
        self.observed.latencies.len() as u64
    }

    fn queries_per_request(&self) -> f64 {
        self.counters.queries as f64 / self.requests() as f64
    }

    /// Calls that asked for something cached, however they were answered.
    fn calls(&self) -> u64 {
        let Counters { from_memory, from_redis, joined, missed, .. } = self.counters;
        from_memory + from_redis + joined + missed
    }

    fn hits(&self) -> u64 {
        self.counters.from_memory + self.counters.from_redis
    }
}

async fn measure(database: &Path, cached: bool, shared: bool) -> anyhow::Result<Measured> {
    let fleet = match shared {
        // A namespace of its own: nothing is cached at the beginning.
        true => Fleet::of_processes(REPLICAS, database, cached, &unused_namespace()?).await?,
        false => Fleet::of_tasks(REPLICAS, database, cached).await?,
    };
    let observed = visit(&fleet.addresses, DURATION).await?;
    Ok(Measured { observed, counters: fleet.counters().await? })
}

fn unused_namespace() -> anyhow::Result<String> {
    Ok(format!("bookshop-{}-{}", SystemTime::UNIX_EPOCH.elapsed()?.as_millis(), std::process::id()))
}

fn print_table(without: &Measured, with: &Measured) {
    let row =
        |what: &str, of: &dyn Fn(&Measured) -> String| println!("{what:<38} {:>14} {:>14}", of(without), of(with));
    let share = |of: &Measured, part: u64| match of.calls() {
        0 => "-".to_owned(),
        calls => format!("{:.1} %", 100.0 * part as f64 / calls as f64),
    };
    println!("{:<38} {:>14} {:>14}", "", "without cache", "with cache");
    row("requests", &|it| it.requests().to_string());
    row("latency, median", &|it| format!("{:.2?}", it.observed.quantile(0.5)));
    row("latency, 99th percentile", &|it| format!("{:.2?}", it.observed.quantile(0.99)));
    row("database queries", &|it| it.counters.queries.to_string());
    row("database queries per request", &|it| format!("{:.2}", it.queries_per_request()));
    row("hit ratio", &|it| share(it, it.hits()));
    row("  from memory", &|it| share(it, it.counters.from_memory));
    row("  from Redis", &|it| share(it, it.counters.from_redis));
    row("  of these stale, refreshed behind", &|it| share(it, it.counters.stale));
    row("joined a load under way", &|it| share(it, it.counters.joined));
    row("missed and loaded", &|it| share(it, it.counters.missed));
    row("sales, each invalidates a page", &|it| it.observed.sales.to_string());
    row("pages older than the last sale", &|it| it.observed.outdated.to_string());
    row("Redis errors", &|it| it.counters.redis_errors.to_string());
}

/// What this example claims. (Not that it is faster: that is for you to see.)
fn check(without: &Measured, with: &Measured, shared: bool) {
    assert_eq!(without.calls(), 0, "`bypass` leaves the cache alone");
    assert_eq!(without.observed.outdated, 0, "the database knows of every sale");
    assert!(with.hits() > 0, "popular books are asked for more than once");
    assert!(with.queries_per_request() < without.queries_per_request(), "hits ask no database");
    if shared && with.counters.redis_errors == 0 {
        assert!(with.counters.from_redis > 0, "one replica uses what another has loaded");
    }
}

/// One replica for people.
async fn serve(port: u16) -> anyhow::Result<()> {
    let directory = Directory::new()?;
    let shop = Shop::open(&catalogue(&directory)?).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let here = format!("http://{}", listener.local_addr()?);
    println!("Ctrl-C ends it. Try:");
    println!("  curl {here}/books/7");
    println!("  curl -X POST {here}/books/7/sell");
    println!("  curl {here}/categories/computing");
    println!("  curl {here}/stats");
    let interrupted = async { tokio::signal::ctrl_c().await.expect("signals can be received") };
    axum::serve(listener, routes(shop, true)).with_graceful_shutdown(interrupted).await?;
    Ok(())
}

fn catalogue(directory: &Directory) -> anyhow::Result<PathBuf> {
    let (path, began) = (directory.0.join("bookshop.sqlite"), Instant::now());
    catalogue::seed(&mut Connection::open(&path)?)?;
    println!("made a catalogue of {} books in {:.1?}", catalogue::BOOKS, began.elapsed());
    Ok(path)
}

/// A directory that goes away with this.
struct Directory(PathBuf);

impl Directory {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("hybridcache-bookshop-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What stays behind is in the directory for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
