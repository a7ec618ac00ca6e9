//! One trace at one capacity, over the rounds.

use hybridcache::Policy;

use crate::replay::{plain, product};
use crate::traces::Trace;

/// By how many percentage points the hit ratio may be lower than plain moka's.
const BAR: f64 = 1.0;

pub const HEAD: &str = "\
| trace | capacity | plain moka (by round) | `Policy::Clock` (by round) | difference | `Policy::Moka` (by round) | difference | |
|---|---|---|---|---|---|---|---|";

pub struct Cell {
    trace: String,
    percent: u64,
    capacity: u64,
    plain: Vec<f64>,
    clock: Vec<f64>,
    moka: Vec<f64>,
}

impl Cell {
    pub fn new(trace: &Trace, percent: u64) -> Self {
        let capacity = (trace.keys * percent / 100).max(1);
        let [plain, clock, moka] = Default::default();
        Self { trace: trace.name.clone(), percent, capacity, plain, clock, moka }
    }

    pub fn is_for(&self, trace: &Trace, percent: u64) -> bool {
        self.trace == trace.name && self.percent == percent
    }

    /// All with the same requests, one after the other.
    pub fn measure(&mut self, trace: &Trace) {
        self.plain.push(plain(&trace.requests, self.capacity));
        self.clock.push(product(&trace.requests, self.capacity, Policy::Clock));
        self.moka.push(product(&trace.requests, self.capacity, Policy::Moka));
    }

    /// The rounds' mean: moka's hasher and the times of its maintenance differ from run to run.
    pub fn passes(&self) -> bool {
        self.difference(&self.clock) >= -BAR && self.difference(&self.moka) >= -BAR
    }

    fn difference(&self, of: &[f64]) -> f64 {
        mean(of) - mean(&self.plain)
    }

    pub fn row(&self) -> String {
        let verdict = if self.passes() { "PASS" } else { "**FAIL**" };
        format!(
            "| {} | {} % ({}) | {} | {} | {:+.2} | {} | {:+.2} | {verdict} |",
            self.trace,
            self.percent,
            self.capacity,
            shown(&self.plain),
            shown(&self.clock),
            self.difference(&self.clock),
            shown(&self.moka),
            self.difference(&self.moka),
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
