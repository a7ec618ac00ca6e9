//! By how much the resident memory of a process grows, where memory is bounded in bytes. Ends with an error where that differs from
//! the bound by more than 15 %.
//!
//! `cargo run --release -p hybridcache-benches --bin resident`; each kind of value has a process of its own.

use std::process::{Command, ExitCode};
use std::sync::{Arc, OnceLock};
use std::{env, fs};

use hybridcache::{HybridCache, Memory, hybrid_cached};
use tokio::runtime;

const BOUND: u64 = 96 << 20;

/// The most that the growth may differ from the bound, in percent.
const BAR: f64 = 15.0;

/// The kinds of values, and the least that an entry of each can weigh.
const KINDS: [(&str, u64); 5] = [
    ("u64", 200),
    ("array of 256 bytes", 450),
    ("text of 100 bytes", 320),
    ("1,000 bytes", 1_200),
    ("weighed list", 700),
];

static CACHE: OnceLock<HybridCache> = OnceLock::new();

fn cache() -> &'static HybridCache {
    CACHE.get().expect("it is built first")
}

#[hybrid_cached(tier = memory, ttl = 1h, key = "number:{id}", cache = cache())]
async fn number(id: u64) -> u64 {
    id
}

#[hybrid_cached(tier = memory, ttl = 1h, key = "array:{id}", cache = cache())]
async fn array(id: u64) -> [u8; 256] {
    [id as u8; 256]
}

#[hybrid_cached(tier = memory, ttl = 1h, key = "text:{id}", cache = cache())]
async fn text(id: u64) -> String {
    format!("{id:0100}")
}

#[hybrid_cached(tier = memory, ttl = 1h, key = "bytes:{id}", cache = cache())]
async fn bytes(id: u64) -> Arc<[u8]> {
    vec![id as u8; 1_000].into()
}

#[hybrid_cached(tier = memory, ttl = 1h, key = "list:{id}", weigh = |list: &Vec<u64>| 24 + 8 * list.len(), cache = cache())]
async fn list(id: u64) -> Vec<u64> {
    vec![id; 64]
}

fn main() -> ExitCode {
    if let Some(kind) = env::args().nth(1) {
        fill(&kind);
        return ExitCode::SUCCESS;
    }
    let mut passes = true;
    println!("| value | growth, of a bound of {} MiB | |\n|---|---|---|", BOUND >> 20);
    for (kind, _) in KINDS {
        let process = Command::new(env::current_exe().expect("this program has a path")).arg(kind).output();
        let output = String::from_utf8(process.expect("it runs").stdout).expect("it prints numbers");
        let growth: f64 = output.trim().parse().expect("it prints a number");
        let percent = 100.0 * growth / BOUND as f64;
        let is_near = (percent - 100.0).abs() <= BAR;
        passes &= is_near;
        println!("| {kind} | {percent:.1} % | {} |", if is_near { "PASS" } else { "**FAIL**" });
    }
    if passes { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn fill(kind: &str) {
    let (_, weight) = KINDS.into_iter().find(|(name, _)| *name == kind).expect("a kind of value");
    let runtime = runtime::Builder::new_current_thread().enable_time().build().expect("a runtime can be built");
    runtime.block_on(async {
        let memory = Memory::bytes(BOUND);
        CACHE.set(HybridCache::builder().memory(memory).build().await.expect("the settings are right")).expect("once");
        let before = resident();
        // More than fit in, so that memory is full.
        for id in 0..BOUND * 5 / 4 / weight {
            match kind {
                "u64" => _ = number(id).await,
                "array of 256 bytes" => _ = array(id).await,
                "text of 100 bytes" => _ = text(id).await,
                "1,000 bytes" => _ = bytes(id).await,
                _ => _ = list(id).await,
            }
        }
        assert!(cache().stats().evictions > 0, "it is full");
        println!("{}", resident() - before);
    });
}

/// The resident set of this process, in bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has a resident set");
    1024 * line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number")
}
