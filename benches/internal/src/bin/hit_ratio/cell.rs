//! One trace at one capacity, over the rounds.

use crate::replay::{plain, product};
use crate::traces::Trace;

/// By how many percentage points the hit ratio may be lower than plain moka's.
const BAR: f64 = 1.0;

pub const HEAD: &str = "\
| trace | capacity | plain moka (by round) | hybridcache (by round) | difference | |
|---|---|---|---|---|---|";

pub struct Cell {
    trace: &'static str,
    percent: u64,
    capacity: u64,
    plain: Vec<f64>,
    product: Vec<f64>,
}

impl Cell {
    pub fn new(trace: &Trace, percent: u64) -> Self {
        let capacity = (trace.keys * percent / 100).max(1);
        Self { trace: trace.name, percent, capacity, plain: Vec::new(), product: Vec::new() }
    }

    pub fn is_for(&self, trace: &Trace, percent: u64) -> bool {
        (self.trace, self.percent) == (trace.name, percent)
    }

    /// Both with the same requests, one after the other.
    pub fn measure(&mut self, trace: &Trace) {
        self.plain.push(plain(&trace.requests, self.capacity));
        self.product.push(product(&trace.requests, self.capacity));
    }

    /// The rounds' mean: moka's hasher and the times of its maintenance differ from run to run.
    pub fn passes(&self) -> bool {
        self.difference() >= -BAR
    }

    fn difference(&self) -> f64 {
        mean(&self.product) - mean(&self.plain)
    }

    pub fn row(&self) -> String {
        let verdict = if self.passes() { "PASS" } else { "**FAIL**" };
        format!(
            "| {} | {} % ({}) | {} | {} | {:+.2} | {verdict} |",
            self.trace,
            self.percent,
            self.capacity,
            shown(&self.plain),
            shown(&self.product),
            self.difference(),
        )
    }
}

fn mean(percents: &[f64]) -> f64 {
    percents.iter().sum::<f64>() / percents.len() as f64
}

fn shown(percents: &[f64]) -> String {
    let rounds: Vec<_> = percents.iter().map(|percent| format!("{percent:.2}")).collect();
    format!("{:.2} % ({})", mean(percents), rounds.join(", "))
}
