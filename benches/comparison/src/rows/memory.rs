//! Memory per entry: how much a process of its own grows, as the kernel sees it, while a million entries are loaded.

use std::env::current_exe;
use std::fs;
use std::process::Command;
use std::sync::Arc;

use super::RUNTIME;
use crate::peers::{MANY_ENTRIES, Peer, amalgam, cached, hitbox, moka, multi_tier, ours, quick};
use crate::table::{Row, Table};
use crate::values::{User, shared_user};

/// This program is started again with this word and a candidate's name.
pub(crate) const CHILD: &str = "fill-memory";

const ENTRIES: u64 = 1_000_000;

/// Odd, so that there is a median.
const ROUNDS: usize = 3;

/// A candidate that is no column: what a `moka` is whose keys are `String`s.
const MOKA_OF_STRINGS: &str = "moka-of-strings";

const NAMES: [(&str, Peer); 8] = [
    ("hybridcache", Peer::Hybridcache),
    ("cached", Peer::Cached),
    ("moka", Peer::Moka),
    ("moka-future", Peer::MokaFuture),
    ("quick-cache", Peer::QuickCache),
    ("hitbox", Peer::Hitbox),
    ("amalgam", Peer::Amalgam),
    ("multi-tier", Peer::MultiTier),
];

pub(super) fn measure(table: &mut Table) {
    let moka = grown("moka");
    let mut row = Row::new("memory per entry, 1 million entries", format!("`moka::sync`: {moka:.0} bytes"));
    let mut bytes_of_ours = f64::NAN;
    for (name, peer) in NAMES {
        let bytes = grown(name);
        let ratio = bytes / moka;
        if peer == Peer::Hybridcache {
            bytes_of_ours = bytes;
        }
        row.cell(peer, format!("{ratio:.2} ({bytes:.0} bytes)"));
    }
    table.add(row.bar("≤ 270 bytes", format!("{bytes_of_ours:.0}"), bytes_of_ours <= 270.0));
    let strings = grown(MOKA_OF_STRINGS);
    let mut row = Row::new("the same, `moka` with `String` keys", format!("`moka::sync`: {moka:.0} bytes"));
    row.cell(Peer::Moka, format!("{:.2} ({strings:.0} bytes)", strings / moka));
    table.add(row);
    table.note("Memory: growth of the resident set of a process of its own, the values' 48 bytes behind their `Arc` included; the median of three.");
}

/// Bytes for each entry.
fn grown(name: &str) -> f64 {
    let mut figures: Vec<f64> = (0..ROUNDS).map(|_| grown_once(name)).collect();
    figures.sort_by(f64::total_cmp);
    figures[ROUNDS / 2]
}

fn grown_once(name: &str) -> f64 {
    let output = Command::new(current_exe().unwrap()).args([CHILD, name]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    text.trim().parse::<f64>().unwrap() / ENTRIES as f64
}

/// What the other process does. It prints by how many bytes it has grown.
pub(crate) fn fill(name: &str) {
    let before = resident();
    let keep = RUNTIME.block_on(filled(name));
    println!("{}", resident() - before);
    drop(keep);
}

async fn filled(name: &str) -> Box<dyn Send> {
    if name == MOKA_OF_STRINGS {
        return of_strings();
    }
    let (_, peer) = NAMES.into_iter().find(|(of, _)| *of == name).expect("a candidate's name");
    match peer {
        Peer::Hybridcache => all(async |id| _ = ours::one_of_many(id).await, ()).await,
        Peer::Cached => all(async |id| _ = cached::one_of_many(id).await, ()).await,
        Peer::Moka => {
            let cache = moka::sync_cache(MANY_ENTRIES);
            let keep = all(async |id| cache.insert(id, shared_user(id)), cache.clone()).await;
            cache.run_pending_tasks();
            keep
        }
        Peer::MokaFuture => {
            let cache = moka::future_cache(MANY_ENTRIES);
            let keep = all(async |id| cache.insert(id, shared_user(id)).await, cache.clone()).await;
            cache.run_pending_tasks().await;
            keep
        }
        Peer::QuickCache => {
            let cache = Arc::new(quick::cache(MANY_ENTRIES));
            all(async |id| cache.insert(id, shared_user(id)), cache.clone()).await
        }
        Peer::Hitbox => {
            let cache = hitbox::in_memory(MANY_ENTRIES);
            all(async |id| _ = hitbox::user(id).cache(&cache).await, cache.clone()).await
        }
        Peer::Amalgam => {
            let cache = amalgam::in_memory(MANY_ENTRIES);
            all(async |id| _ = amalgam::user(&cache, id).await, cache.clone()).await
        }
        Peer::MultiTier => {
            let cache = Arc::new(multi_tier::in_memory(MANY_ENTRIES));
            all(async |id| _ = multi_tier::user(&cache, id).await, cache.clone()).await
        }
        Peer::ByHand | Peer::ByHandWithMoka => unreachable!("it has no memory"),
    }
}

async fn all(call: impl AsyncFn(u64), keep: impl Send + 'static) -> Box<dyn Send> {
    for id in 0..ENTRIES {
        call(id).await;
    }
    Box::new(keep)
}

fn of_strings() -> Box<dyn Send> {
    let cache = ::moka::sync::Cache::<String, Arc<User>>::builder().max_capacity(MANY_ENTRIES as u64).build();
    (0..ENTRIES).for_each(|id| cache.insert(format!("user:{id}"), shared_user(id)));
    cache.run_pending_tasks();
    Box::new(cache)
}

fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}
