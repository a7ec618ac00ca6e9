//! One key, called at random in a fleet of processes that share a tier. Time is in milliseconds.
//!
//! There is no stale window: who finds nothing fresh waits. (With one, nobody would, and the figure is how often a stale
//! value is returned.) A process that finds its own copy ended, or starts a refresh, first looks into the shared tier, and
//! takes the value there if it is another one; one process at a time loads, and the others wait for it.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Exp, LogNormal};

use crate::strategy::Strategy;

/// How long each value is fresh.
const FRESH_FOR: f64 = 60_000.0;
/// The median of a load's time, and how much it varies (the standard deviation of its logarithm).
const COST: f64 = 100.0;
const VARIATION: f64 = 0.3;
/// No strategy starts a refresh before this last part of it.
const LAST_PART: f64 = 0.25;
/// A round trip to the shared tier.
const ROUND_TRIP: f64 = 1.0;

const FLEETS: u64 = 20;

/// The figures of one fleet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// The share of expiries at which a caller waited for a load.
    pub(crate) waiting: f64,
    /// The mean part of its freshness that a value had left when it was replaced.
    pub(crate) given_away: f64,
    /// Loads for each value that was replaced.
    pub(crate) loads: f64,
}

#[derive(Clone, Copy, Debug)]
struct Value {
    number: u64,
    fresh_until: f64,
    cost: f64,
}

#[derive(Clone, Copy, Debug)]
struct Load {
    ends: f64,
    cost: f64,
}

#[derive(Clone, Copy, Debug)]
struct Process {
    spread: f64,
    /// Its copy of a value.
    copy: Option<Value>,
    /// It waits for the load that runs, and takes its value.
    follows: bool,
}

pub(crate) struct Fleet {
    strategy: Strategy,
    random: SmallRng,
    pauses: Exp<f64>,
    costs: LogNormal<f64>,
    processes: Vec<Process>,
    shared: Option<Value>,
    load: Option<Load>,
    somebody_waits: bool,
    waiting: u64,
    given_away: f64,
    loads: u64,
    /// Values that were replaced.
    replaced: u64,
}

impl Fleet {
    /// `rate`: requests a second, over all processes.
    pub(crate) fn new(strategy: Strategy, rate: f64, processes: usize, seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let processes =
            (0..processes).map(|_| Process { spread: random.random(), copy: None, follows: false }).collect();
        Self {
            strategy,
            random,
            pauses: Exp::new(rate / 1000.0).expect("a rate above zero"),
            costs: LogNormal::new(COST.ln(), VARIATION).expect("a finite variation"),
            processes,
            shared: None,
            load: None,
            somebody_waits: false,
            waiting: 0,
            given_away: 0.0,
            loads: 0,
            replaced: 0,
        }
    }

    /// The mean of several fleets, as where a process is in its fleet is drawn once. `expiries`: of all together.
    pub(crate) fn mean(strategy: Strategy, rate: f64, processes: usize, expiries: u64) -> Figures {
        let fleets = (0..FLEETS).map(|seed| Self::new(strategy, rate, processes, seed).run(expiries / FLEETS));
        let sum = fleets.fold(Figures::default(), |sum, figures| Figures {
            waiting: sum.waiting + figures.waiting,
            given_away: sum.given_away + figures.given_away,
            loads: sum.loads + figures.loads,
        });
        let fleets = FLEETS as f64;
        Figures { waiting: sum.waiting / fleets, given_away: sum.given_away / fleets, loads: sum.loads / fleets }
    }

    /// Until so many values were replaced.
    fn run(mut self, expiries: u64) -> Figures {
        let mut now = 0.0;
        while self.replaced < expiries {
            now += self.pauses.sample(&mut self.random);
            if self.end_load(now) {
                // Nothing happens in the first part of the freshness.
                now = now.max(self.shared.map_or(now, |value| value.fresh_until - LAST_PART * FRESH_FOR));
                continue;
            }
            let process = self.random.random_range(0..self.processes.len());
            self.request(process, now);
        }
        let replaced = self.replaced as f64;
        Figures {
            waiting: self.waiting as f64 / replaced,
            given_away: self.given_away / replaced,
            // The first value replaces none.
            loads: (self.loads - 1) as f64 / replaced,
        }
    }

    fn request(&mut self, process: usize, now: f64) {
        let Process { spread, copy, follows } = self.processes[process];
        let fresh = copy.filter(|copy| now < copy.fresh_until);
        match fresh {
            Some(copy) => {
                let (left, cost) = (copy.fresh_until - now, copy.cost);
                if !follows && self.strategy.starts(left, FRESH_FOR, cost, spread, &mut self.random) {
                    self.look(process, copy.number, now);
                }
            }
            None => self.miss(process, now),
        }
    }

    /// The copy of the process has ended.
    fn miss(&mut self, process: usize, now: f64) {
        match self.shared.filter(|shared| now + ROUND_TRIP < shared.fresh_until) {
            Some(shared) => {
                // A hit in the shared tier may start the refresh, too.
                self.processes[process].copy = Some(shared);
                self.request(process, now);
            }
            None => {
                self.somebody_waits = true;
                self.join(process, now);
            }
        }
    }

    /// A refresh: takes another value if there is one.
    fn look(&mut self, process: usize, own: u64, now: f64) {
        match self.shared.filter(|shared| shared.number != own) {
            Some(shared) => self.processes[process].copy = Some(shared),
            None => self.join(process, now),
        }
    }

    /// Loads, or waits for the load of another process.
    fn join(&mut self, process: usize, now: f64) {
        self.processes[process].follows = true;
        if self.load.is_none() {
            let cost = self.costs.sample(&mut self.random);
            self.load = Some(Load { ends: now + 2.0 * ROUND_TRIP + cost, cost });
            self.loads += 1;
        }
    }

    /// Ends the load that has ended by now, if there is one.
    fn end_load(&mut self, now: f64) -> bool {
        let Some(Load { ends, cost }) = self.load.filter(|load| load.ends <= now) else { return false };
        self.load = None;
        if let Some(replaced) = self.shared {
            self.given_away += (replaced.fresh_until - ends).max(0.0) / FRESH_FOR;
            self.waiting += u64::from(self.somebody_waits);
            self.replaced += 1;
        }
        self.somebody_waits = false;
        let value = Value { number: self.loads, fresh_until: ends + FRESH_FOR, cost };
        self.shared = Some(value);
        for process in self.processes.iter_mut().filter(|process| process.follows) {
            (process.copy, process.follows) = (Some(value), false);
        }
        true
    }
}
