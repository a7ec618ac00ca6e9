//! Is the hit ratio that of plain moka? Ends with an error where it is lower by more than the bar.
//!
//! `cargo run --release -p hybridcache-benches --bin hit_ratio -- [keys] [requests] [rounds]`, or `-- [file] ..` for recorded traces.

mod cell;
mod replay;
mod traces;

use std::env;
use std::path::Path;
use std::process::ExitCode;

use cell::Cell;
use traces::Trace;

/// How many requests of a recorded trace are replayed at most.
const RECORDED: u64 = 4_000_000;

/// Of the keys that come again, or of all keys of a recorded trace, in percent.
const CAPACITIES: [u64; 3] = [1, 10, 50];

fn main() -> ExitCode {
    let mut cells: Vec<Cell> = Vec::new();
    let mut measure = |trace: &Trace| {
        for percent in CAPACITIES {
            let cell = place(&mut cells, trace, percent);
            cell.measure(trace);
            eprintln!("{}", cell.row());
        }
    };
    let files: Vec<String> = env::args().skip(1).filter(|argument| argument.parse::<u64>().is_err()).collect();
    files.iter().for_each(|file| measure(&traces::recorded(Path::new(file), RECORDED)));
    if files.is_empty() {
        let [keys, requests, rounds] = sizes();
        (0..rounds).flat_map(|round| traces::all(keys, requests, round)).for_each(|trace| measure(&trace));
    }
    println!("{}", cell::HEAD);
    cells.iter().for_each(|cell| println!("{}", cell.row()));
    if cells.iter().all(Cell::passes) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn place<'a>(cells: &'a mut Vec<Cell>, trace: &Trace, percent: u64) -> &'a mut Cell {
    let at = cells.iter().position(|cell| cell.is_for(trace, percent)).unwrap_or_else(|| {
        cells.push(Cell::new(trace, percent));
        cells.len() - 1
    });
    &mut cells[at]
}

fn sizes() -> [u64; 3] {
    let mut sizes = [100_000, 2_000_000, 3];
    for (size, argument) in sizes.iter_mut().zip(env::args().skip(1)) {
        *size = argument.parse().expect("arguments are numbers: keys, requests, rounds");
    }
    sizes
}
