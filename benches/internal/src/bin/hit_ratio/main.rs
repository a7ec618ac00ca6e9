//! Is the hit ratio that of plain moka? Ends with an error where it is lower by more than the bar.
//!
//! `cargo run --release -p hybridcache-benches --bin hit_ratio -- [keys] [requests] [rounds]`

mod cell;
mod replay;
mod traces;

use std::env;
use std::process::ExitCode;

use cell::Cell;
use traces::Trace;

/// Of the keys that come again, in percent.
const CAPACITIES: [u64; 3] = [1, 10, 50];

fn main() -> ExitCode {
    let [keys, requests, rounds] = sizes();
    let mut cells: Vec<Cell> = Vec::new();
    for round in 0..rounds {
        for trace in traces::all(keys, requests, round) {
            for percent in CAPACITIES {
                let cell = place(&mut cells, &trace, percent);
                cell.measure(&trace);
                eprintln!("round {} of {rounds}: {}", round + 1, cell.row());
            }
        }
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
