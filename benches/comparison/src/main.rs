//! hybridcache beside its peers: one table of ratios. `benches/README.md` says how to run it and what the rows are.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on panics")]

mod ids;
mod peers;
mod rounds;
mod rows;
mod table;
mod values;
mod versions;

use std::cell::LazyCell;
use std::process::ExitCode;

use hybridcache_test_support::RedisServer;
use rows::Group;
use table::Table;

fn main() -> ExitCode {
    rows::install();
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [word, candidate] = words.as_slice()
        && word == rows::memory::CHILD
    {
        rows::memory::fill(candidate);
        return ExitCode::SUCCESS;
    }
    let groups = match words.iter().map(|word| word.parse()).collect::<Result<Vec<Group>, _>>() {
        Ok(groups) if groups.is_empty() => Group::BY_DEFAULT.to_vec(),
        Ok(groups) => groups,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let mut table = Table::default();
    // One for all groups: what has a static connects once.
    let server = LazyCell::new(RedisServer::start as fn() -> RedisServer);
    groups.into_iter().for_each(|group| group.measure(&mut table, &server));
    println!("{}\n\n{table}", versions::line());
    if table.passes() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
