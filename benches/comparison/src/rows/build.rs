//! What a dependency costs a program: crates, and the time of a clean build.

use std::collections::BTreeSet;
use std::env::temp_dir;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::peers::Peer;
use crate::table::{Row, Table, Time};

/// The versions this program was built with.
const LOCK: &str = include_str!("../../../../Cargo.lock");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// What an async program with serde has anyway.
const COMMON: &str = "serde = { version = \"1\", features = [\"derive\"] }\n\
    tokio = { version = \"1\", features = [\"macros\", \"rt\"] }\n";

/// Ours has its default features; the others what an async function, cached in memory and in Redis, takes.
const DEPENDENCIES: [(Peer, &str); 8] = [
    (Peer::Hybridcache, "hybridcache = { path = \"ROOT\" }"),
    (Peer::Cached, "cached = { version = \"4\", features = [\"async\", \"redis_tokio\"] }"),
    (Peer::Moka, "moka = { version = \"0.12\", features = [\"sync\"] }"),
    (Peer::MokaFuture, "moka = { version = \"0.12\", features = [\"future\"] }"),
    (Peer::QuickCache, "quick_cache = \"0.7\""),
    (
        Peer::Hitbox,
        "hitbox = \"0.2\"\nhitbox-fn = { version = \"0.2\", features = [\"derive\"] }\nhitbox-moka = \"0.2\"\nhitbox-redis = \"0.2\"",
    ),
    (Peer::Amalgam, "amalgam-cache = { version = \"0.4\", features = [\"messagepack\", \"redis\"] }"),
    (Peer::MultiTier, "multi-tier-cache = \"0.6\""),
];
const BY_HAND: (Peer, &str) = (
    Peer::ByHand,
    "redis = { version = \"1\", default-features = false, features = [\"aio\", \"tokio-comp\"] }\nrmp-serde = \"1\"",
);

/// A program in a directory of its own, gone when it is dropped.
struct Program(PathBuf);

pub(super) fn crates(table: &mut Table) {
    const LIMIT: usize = 96;
    let common = Program::with(COMMON).crates().len();
    let mut row = Row::new("crates added to an empty program (to one that has `tokio` and `serde`)", "");
    let mut ours = usize::MAX;
    for (peer, dependencies) in DEPENDENCIES.into_iter().chain([BY_HAND]) {
        let alone = Program::with(dependencies).crates().len();
        let beside = Program::with(&format!("{COMMON}{dependencies}")).crates().len() - common;
        if peer == Peer::Hybridcache {
            ours = alone;
        }
        row.cell(peer, format!("{alone} ({beside})"));
    }
    table.add(row.bar(format!("≤ {LIMIT}"), ours, ours <= LIMIT));
    table.note("Crates: with default features for **hybridcache**, which has memory and Redis; with the features that an async function in memory and in Redis takes for the others; `moka` and `quick_cache` alone, which have no Redis; by hand `redis` and `rmp-serde`. Build dependencies are not counted.");
}

pub(super) fn times(table: &mut Table) {
    let mut row = Row::new("clean build, release", "");
    for (peer, dependencies) in DEPENDENCIES.into_iter().chain([BY_HAND]) {
        let program = Program::with(dependencies);
        let begun = Instant::now();
        program.cargo(&["build", "--release", "--quiet", "--target-dir", "target"]);
        row.cell(peer, Time(begun.elapsed().as_nanos() as f64).to_string());
    }
    table.add(row);
}

impl Program {
    fn with(dependencies: &str) -> Self {
        let directory = temp_dir().join(format!("hybridcache-comparison-{}-{}", std::process::id(), fastrand::u32(..)));
        fs::create_dir_all(directory.join("src")).unwrap();
        let dependencies = dependencies.replace("ROOT", ROOT);
        let manifest = format!(
            "[package]\nname = \"program\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n{dependencies}\n"
        );
        fs::write(directory.join("Cargo.toml"), manifest).unwrap();
        fs::write(directory.join("Cargo.lock"), LOCK).unwrap();
        fs::write(directory.join("src/main.rs"), "fn main() {}\n").unwrap();
        Self(directory)
    }

    /// Names and versions, without the program itself.
    fn crates(&self) -> BTreeSet<String> {
        let text = self.cargo(&["tree", "-e", "normal", "--prefix", "none"]);
        let packages = text.lines().skip(1).filter(|line| !line.is_empty());
        packages.map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
    }

    /// Everything was downloaded to build this program.
    fn cargo(&self, arguments: &[&str]) -> String {
        let output = Command::new("cargo").arg("--offline").args(arguments).current_dir(&self.0).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // What is left lies in the system's temporary directory.
        let _ = fs::remove_dir_all(Path::new(&self.0));
    }
}
