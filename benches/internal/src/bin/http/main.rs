//! What the HTTP layer costs: a hit beside the bare handler that returns the same bytes, over loopback; and what it holds of a
//! long body that it does not store.
//!
//! `cargo run --release -p hybridcache-benches --bin http -- [rounds]`

mod body;
mod client;
mod server;

use std::time::Duration;
use std::{env, fs};

use client::Figures;
use hybridcache::HybridCache;
use hybridcache::http::HttpCacheLayer;
use server::{Long, Page, serve};
use tower_layer::Layer;

/// How long each candidate is measured in each round.
const TURN: Duration = Duration::from_millis(700);

/// Of which nothing may be held.
const LONG: u64 = 192 << 20;

/// The bare handler and the layer, of one round.
type Pair = (Figures, Figures);

fn main() {
    let rounds = env::args().nth(1).map_or(11, |rounds| rounds.parse().expect("the number of rounds"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(measure(rounds));
}

async fn measure(rounds: usize) {
    // First: the peak is that of the whole process.
    long_body().await;
    println!("\n| body | clients | bare, req/s | hit, req/s | ratio | bare p50 / p99 | hit p50 / p99 | added p50 |");
    println!("|---|---|---|---|---|---|---|---|");
    for size in [1 << 10, 64 << 10] {
        let (handler, stored) = (Page::new(size), Page::new(size));
        let (bare, hit) = (serve(handler).await, serve(layer().await.layer(stored.clone())).await);
        for crowd in [1, 32] {
            let mut pairs = Vec::new();
            for round in 0..=rounds {
                let pair = turns(bare, hit, crowd, round % 2 == 0).await;
                // The first warms up.
                if round > 0 {
                    pairs.push(pair);
                }
            }
            report(size, crowd, &pairs);
        }
        assert_eq!(stored.calls(), 1, "these were no hits");
    }
}

/// Who goes first changes from round to round.
async fn turns(bare: std::net::SocketAddr, hit: std::net::SocketAddr, crowd: usize, bare_first: bool) -> Pair {
    if bare_first {
        let first = client::run(bare, crowd, TURN).await;
        (first, client::run(hit, crowd, TURN).await)
    } else {
        let first = client::run(hit, crowd, TURN).await;
        (client::run(bare, crowd, TURN).await, first)
    }
}

async fn long_body() {
    let address = serve(layer().await.layer(Long(LONG))).await;
    let before = peak();
    assert_eq!(client::ask_once(address).await, LONG);
    let mebibytes = |kibibytes: u64| kibibytes as f64 / 1024.0;
    println!(
        "{} MiB went through, not stored. Peak memory (VmHWM): {:.1} MiB before, {:.1} MiB after.",
        LONG >> 20,
        mebibytes(before),
        mebibytes(peak())
    );
}

/// The most memory that this process has had, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or_default()
}

async fn layer() -> HttpCacheLayer {
    let cache = HybridCache::builder().build().await.expect("memory only");
    HttpCacheLayer::builder(cache).ttl(Duration::from_secs(3600)).build().expect("the settings are right")
}

fn report(size: usize, crowd: usize, pairs: &[Pair]) {
    let per_second = |figures: fn(&Pair) -> &Figures| median(pairs.iter().map(|pair| figures(pair).per_second));
    let at = |figures: fn(&Pair) -> &Figures, part| {
        median(pairs.iter().map(|pair| figures(pair).at(part).as_secs_f64() * 1e6))
    };
    let ratios = pairs.iter().map(|(bare, hit)| hit.per_second / bare.per_second);
    let added = pairs.iter().map(|(bare, hit)| (hit.at(0.5).as_secs_f64() - bare.at(0.5).as_secs_f64()) * 1e6);
    println!(
        "| {} KiB | {crowd} | {:.0} | {:.0} | {:.2} ± {:.2} | {:.1} / {:.1} µs | {:.1} / {:.1} µs | {:.1} ± {:.1} µs |",
        size >> 10,
        per_second(|pair| &pair.0),
        per_second(|pair| &pair.1),
        median(ratios.clone()),
        spread(ratios),
        at(|pair| &pair.0, 0.5),
        at(|pair| &pair.0, 0.99),
        at(|pair| &pair.1, 0.5),
        at(|pair| &pair.1, 0.99),
        median(added.clone()),
        spread(added),
    );
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    quantile(figures, 0.5)
}

/// Half of the distance between the quartiles.
fn spread(figures: impl Iterator<Item = f64> + Clone) -> f64 {
    (quantile(figures.clone(), 0.75) - quantile(figures, 0.25)) / 2.0
}

fn quantile(figures: impl Iterator<Item = f64>, part: f64) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[((figures.len() - 1) as f64 * part).round() as usize]
}
