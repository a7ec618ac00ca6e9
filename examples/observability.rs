//! A shop whose cache can be looked at: `/metrics` for Prometheus, the inspector under `/cache/`, and traffic to look at.
//!
//! ```sh
//! cargo run --features inspector --example observability               # http://127.0.0.1:3000/cache/
//! HYBRIDCACHE_REDIS_URL=redis://127.0.0.1:6379 cargo run --features inspector --example observability -- --fleet
//! ```
//!
//! `--port 3000` chooses the port, `--fleet` runs three processes over one Redis on that port and the next two, `--seconds 20` ends by itself. The
//! inspector may change things for everybody who reaches it here: bind it to your own machine only, as this example does.

use std::process::Stdio;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use axum::{Json, Router};
use hybridcache::inspector::Inspector;
use hybridcache::{HybridCache, LoadError, Memory, NoCache, OPENMETRICS_CONTENT_TYPE, hybrid_cached, hybrid_evict};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Product {
    id: u64,
    name: String,
    price: u64,
}

/// In place of a database: some queries are slow, and some fail.
#[derive(Clone)]
struct Shop {
    cache: HybridCache,
}

async fn query(millis: u64) {
    sleep(Duration::from_millis(millis + fastrand::u64(..=millis))).await;
}

impl Shop {
    #[hybrid_cached(fresh_for = 3s, ttl = 60s, timeout = 2s, key = "product:{id}", tags = ["product:{id}"], name = "product", skip(self), cache = self.cache)]
    async fn product(&self, id: u64) -> std::result::Result<Product, LoadError> {
        query(4).await;
        Ok(Product { id, name: format!("Product {id}"), price: 100 + id })
    }

    /// A slow report.
    #[hybrid_cached(fresh_for = 2s, ttl = 30s, key = "report:{month}", name = "report", skip(self), cache = self.cache)]
    async fn report(&self, month: u64) -> Vec<u64> {
        query(120).await;
        (0..200 + month).collect()
    }

    /// Another service, which fails now and then, and has no stock of every fifth product.
    #[hybrid_cached(ttl = 5s, timeout = 80ms, key = "stock:{id}", name = "stock", skip(self), cache = self.cache)]
    async fn stock(&self, id: u64) -> std::result::Result<Option<u64>, LoadError> {
        query(if fastrand::u8(..) < 8 { 100 } else { 8 }).await;
        match fastrand::u8(..100) {
            0..3 => Err(LoadError::Panicked("the stock service is down".to_owned())),
            _ if id.is_multiple_of(5) => Err(NoCache(None)),
            _ => Ok(Some(id * 3)),
        }
    }

    /// Looks like markup, and is text.
    #[hybrid_cached(ttl = 60s, tier = memory, key = "{word}", name = "search <img src=x onerror=alert(1)>", skip(self), cache = self.cache)]
    async fn search(&self, word: &str) -> Vec<String> {
        query(10).await;
        (0..3).map(|nth| format!("{word} {nth}")).collect()
    }

    #[hybrid_evict(tags = ["product:{id}"], cache = self.cache)]
    async fn change_price(&self, id: u64) {
        query(1).await;
        let _ = id;
    }
}

/// Nearly as popular as Zipf says: half of the requests are for a few products.
fn popular(of: u64) -> u64 {
    let uniform = fastrand::f64().max(1e-9);
    ((of as f64).powf(uniform) as u64).min(of - 1)
}

/// Requests by visitors, for as long as the program runs.
async fn traffic(shop: Shop) {
    loop {
        let id = popular(5_000);
        match fastrand::u8(..100) {
            0..85 => drop(shop.product(id).await),
            85..90 => drop(shop.report(fastrand::u64(..12)).await),
            90..97 => drop(shop.stock(id % 300).await),
            97..99 => {
                drop(shop.search(if id.is_multiple_of(2) { "tea" } else { "<img src=x onerror=alert(2)>" }).await)
            }
            _ => shop.change_price(id).await,
        }
        if fastrand::u8(..20) == 0 {
            sleep(Duration::from_millis(fastrand::u64(1..20))).await;
        }
    }
}

async fn metrics(State(shop): State<Shop>) -> impl IntoResponse {
    ([(CONTENT_TYPE, OPENMETRICS_CONTENT_TYPE)], shop.cache.metrics().to_openmetrics())
}

async fn product(State(shop): State<Shop>, Path(id): Path<u64>) -> impl IntoResponse {
    shop.product(id).await.map(Json).map_err(|error| error.to_string())
}

async fn serve(port: u16) -> Result<()> {
    let redis = std::env::var("HYBRIDCACHE_REDIS_URL").ok().filter(|url| !url.is_empty());
    let builder = HybridCache::builder().namespace("observability").memory(Memory::entries(2_000));
    let cache = match redis {
        Some(url) => builder.redis(url).build().await?,
        None => builder.build().await?,
    };
    let shop = Shop { cache: cache.clone() };
    for _ in 0..8 {
        tokio::spawn(traffic(shop.clone()));
    }
    let inspector = Inspector::new(&cache).values(|_, value| Some(value));
    let acting = inspector.clone().actions_if(|_| true);
    let app = Router::new()
        .route("/", get(|| async { Redirect::to("/cache/") }))
        .route("/metrics", get(metrics))
        .route("/product/{id}", get(product))
        .nest_service("/cache", acting)
        .nest_service("/a/b", inspector)
        .with_state(shop);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://127.0.0.1:{port}/cache/ and http://127.0.0.1:{port}/metrics");
    axum::serve(listener, app).await?;
    Ok(())
}

/// Three processes; they end with this one.
async fn fleet(port: u16, seconds: u64) -> Result<()> {
    let program = std::env::current_exe()?;
    let mut processes = Vec::new();
    for nth in 0..3 {
        let mut process = tokio::process::Command::new(&program);
        process.args(["--port", &(port + nth).to_string(), "--seconds", &seconds.to_string()]).stdin(Stdio::null());
        processes.push(process.kill_on_drop(true).spawn()?);
    }
    for process in &mut processes {
        process.wait().await?;
    }
    Ok(())
}

fn argument(name: &str) -> Option<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next()?.parse().ok()
}

#[tokio::main]
async fn main() -> Result<()> {
    let port = argument("--port").and_then(|port| u16::try_from(port).ok()).unwrap_or(3000);
    let seconds = argument("--seconds").unwrap_or(24 * 3600);
    if std::env::args().any(|argument| argument == "--fleet") {
        if std::env::var("HYBRIDCACHE_REDIS_URL").is_err() {
            return Err("a fleet needs a Redis: HYBRIDCACHE_REDIS_URL=redis://127.0.0.1:6379".into());
        }
        return fleet(port, seconds).await;
    }
    timeout(Duration::from_secs(seconds), serve(port)).await.unwrap_or(Ok(()))
}
