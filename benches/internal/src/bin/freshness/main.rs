//! Which earlier refresh (`refresh_ahead`) is worth what? A simulation of one key in a fleet, and a picture of its figures.
//!
//! `cargo run --release -p hybridcache-benches --bin freshness -- [expiries] [picture.svg]`
//!
//! Ends with an error where `auto` misses its bar: at 20 requests a second at most 10 % of the expiries have a caller that waits,
//! fewer than with `xfetch`.

mod picture;
mod simulation;
mod strategy;

use std::env;
use std::fs;
use std::process::ExitCode;

use simulation::{Figures, Fleet};
use strategy::Strategy;

/// Of the whole fleet, a second.
const RATES: [u64; 3] = [2, 20, 200];
const PROCESSES: [usize; 3] = [1, 4, 16];
const EXPIRIES: u64 = 10_000;
const PICTURE: &str = "benches/freshness.svg";

/// The greatest share of expiries with a caller that waits, for `auto` at [`BARRED_RATE`].
const BAR: f64 = 0.10;
const BARRED_RATE: u64 = 20;

/// One strategy in one fleet.
pub(crate) struct Cell {
    pub(crate) strategy: Strategy,
    pub(crate) rate: u64,
    pub(crate) processes: usize,
    pub(crate) figures: Figures,
}

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let expiries = arguments.next().map_or(EXPIRIES, |number| number.parse().expect("the number of expiries"));
    let picture = arguments.next().unwrap_or_else(|| PICTURE.to_owned());
    let mut cells = Vec::new();
    println!(
        "| requests/s | processes | `refresh_ahead` | expiries with a waiting caller | freshness given away | loads per expiry |"
    );
    println!("|---|---|---|---|---|---|");
    for rate in RATES {
        for processes in PROCESSES {
            for strategy in Strategy::ALL {
                let figures = Fleet::mean(strategy, rate as f64, processes, expiries);
                let Figures { waiting, given_away, loads } = figures;
                println!(
                    "| {rate} | {processes} | {} | {:.1} % | {:.1} % | {loads:.2} |",
                    strategy.name(),
                    100.0 * waiting,
                    100.0 * given_away
                );
                cells.push(Cell { strategy, rate, processes, figures });
            }
        }
    }
    fs::write(&picture, picture::draw(&cells)).expect("the picture can be written");
    println!("\n{picture}");
    if meets_the_bar(&cells) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn meets_the_bar(cells: &[Cell]) -> bool {
    PROCESSES.iter().all(|processes| {
        let waiting = |strategy| {
            let cell = cells
                .iter()
                .find(|cell| (cell.strategy, cell.rate, cell.processes) == (strategy, BARRED_RATE, *processes));
            cell.map_or(1.0, |cell| cell.figures.waiting)
        };
        let (auto, xfetch) = (waiting(Strategy::Auto), waiting(Strategy::XFetch));
        let passes = auto <= BAR && auto < xfetch;
        let verdict = if passes { "PASS" } else { "FAIL" };
        println!(
            "auto at {BARRED_RATE}/s, {processes} processes: {:.1} %, xfetch {:.1} %: {verdict}",
            100.0 * auto,
            100.0 * xfetch
        );
        passes
    })
}
