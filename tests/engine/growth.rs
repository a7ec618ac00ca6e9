//! What is not held any more takes no room: a process that runs for months does not grow by what it once cached.
#![cfg(target_os = "linux")]

use std::process::Command;

use hybridcache::{HybridCache, Memory, hybrid_cached};

const ASKED: &str = "HYBRIDCACHE_TEST_CHILD";

#[hybrid_cached(ttl = 60s, key = "{id}", cache = cache)]
async fn untagged(cache: &HybridCache, id: u64) -> u64 {
    id
}

#[hybrid_cached(ttl = 60s, key = "{id}", tags = ["id:{id}"], cache = cache)]
async fn tagged(cache: &HybridCache, id: u64) -> u64 {
    id
}

/// Resident memory, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Calls with many keys: a small part to warm up, then the rest, and how much memory that took.
#[tokio::test]
async fn child_grows() {
    let Ok(asked) = std::env::var(ASKED) else { return };
    let cache = HybridCache::builder().memory(Memory::entries(100)).build().await.unwrap();
    let mut warm = 0;
    for id in 0..120_000 {
        match asked.as_str() {
            "untagged" => drop(untagged(&cache, id).await),
            "tagged" => drop(tagged(&cache, id).await),
            "handles" => drop(tagged_entry(&cache, id)),
            "invalidated tags" => cache.invalidate_tag(&id.to_string()).await.unwrap(),
            _ => return,
        }
        if id == 20_000 {
            warm = resident();
        }
    }
    println!("=> {}", resident().saturating_sub(warm));
}

/// KiB by which a process grows over 100,000 keys.
fn growth(of: &str) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "growth::child_grows", "--nocapture"]).env(ASKED, of);
    let output = child.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let grown = printed.lines().find_map(|line| line.split_once("=> ")).unwrap_or_else(|| panic!("{printed}")).1;
    grown.parse().unwrap()
}

/// 4 MiB are 40 bytes per key.
fn assert_bounded(of: &str) {
    let grown = growth(of);
    assert!(grown < 4 << 10, "{of}: {grown} KiB over 100,000 keys");
}

#[test]
fn keys_that_were_evicted_take_no_room() {
    assert_bounded("untagged");
}

/// Killed by: a list of tags that only grows.
#[test]
fn tags_that_no_entry_has_take_no_room() {
    assert_bounded("tagged");
}

#[test]
fn handles_that_are_gone_take_no_room() {
    assert_bounded("handles");
}

#[test]
fn tags_that_were_only_invalidated_take_no_room() {
    assert_bounded("invalidated tags");
}
