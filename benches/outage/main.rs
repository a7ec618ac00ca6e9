//! What callers feel while Redis is away: latency added to calls, beside the obvious code over plain `redis`.
//!
//! ```sh
//! cargo bench --bench outage                    # everything, three rounds of 23 s for each fault
//! cargo bench --bench outage -- killed slow 1   # these faults, one round each
//! ```
//!
//! Each round has a `redis-server` of its own and runs steady streams of calls side by side: three seconds healthy, ten
//! with the fault, ten after it. The streams are independent of each other, and each call is a task of its own, so that
//! one that hangs holds up no other. Two controls run beside them and tell how much of a figure is the machine: the same
//! calls on a cache without Redis, and plain sleeps. Ends with an error where a bar is missed; `bars.rs` says what they
//! are.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on panics")]

mod bars;
mod calls;
mod fault;
mod figures;
mod functions;
mod log;
mod report;
mod round;
mod world;

use std::process::ExitCode;

use fault::Fault;
use report::Report;

const ROUNDS: usize = 3;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (faults, rounds) = arguments();
    let mut report = Report::default();
    for fault in faults {
        for number in 1..=rounds {
            eprintln!("{fault}, round {number} of {rounds}");
            report.add(fault, runtime.block_on(round::run(fault)));
        }
    }
    println!("{report}");
    if report.passes() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Names of faults and a number of rounds, in any order. Cargo adds an option of its own.
fn arguments() -> (Vec<Fault>, usize) {
    let (mut faults, mut rounds) = (Vec::new(), ROUNDS);
    for word in std::env::args().skip(1).filter(|word| !word.starts_with('-')) {
        match (word.parse(), Fault::ALL.iter().find(|fault| fault.to_string() == word)) {
            (Ok(number), _) => rounds = number,
            (_, Some(fault)) => faults.push(*fault),
            _ => panic!(
                "`{word}` is neither a number of rounds nor one of {:?}",
                Fault::ALL.map(|fault| fault.to_string())
            ),
        }
    }
    if faults.is_empty() {
        faults.extend(Fault::USUAL);
    }
    (faults, rounds)
}
