//! What was compared, on what, and when.

use std::process::Command;
use std::thread::available_parallelism;

/// What this program was built from.
const LOCK: &str = include_str!("../../../Cargo.lock");

const NAMED: [&str; 8] =
    ["hybridcache", "cached", "moka", "quick_cache", "hitbox", "amalgam-cache", "multi-tier-cache", "redis"];

pub(crate) fn line() -> String {
    let packages: Vec<_> = NAMED.iter().flat_map(|name| versions(name)).collect();
    let processors = available_parallelism().map_or(0, usize::from);
    let printed = [("date", "--iso-8601"), ("rustc", "--version"), ("redis-server", "--version")].map(output_of);
    let [date, rustc, redis] = printed;
    let redis = redis.split(" sha=").next().unwrap_or_default().replace("Redis server v=", "redis-server ");
    format!("{date}, {processors} CPUs ({}), {rustc}, {redis}; {}.", model(), packages.join(", "))
}

/// `name version`, once for each version in use.
fn versions(name: &str) -> Vec<String> {
    let head = format!("name = \"{name}\"\nversion = \"");
    let after = LOCK.split(&head).skip(1);
    after.filter_map(|text| text.split('"').next()).map(|version| format!("`{name}` {version}")).collect()
}

fn model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown").to_owned()
}

fn output_of((program, argument): (&str, &str)) -> String {
    let output = Command::new(program).arg(argument).output();
    output.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
