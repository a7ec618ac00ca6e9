//! Candidates measured by turns, so that what else the machine does meets all of them alike.

use std::time::Duration;

use crate::peers::Peer;

/// One of those that are compared. A measurement returns nanoseconds.
pub(crate) struct Candidate<'a> {
    pub(crate) peer: Peer,
    measure: Box<dyn FnMut() -> f64 + 'a>,
}

/// What was measured: for each candidate one figure in each round.
pub(crate) struct Samples {
    of: Vec<(Peer, Vec<f64>)>,
}

/// The median over rounds, and half of the distance between the quartiles.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) median: f64,
    pub(crate) noise: f64,
}

impl<'a> Candidate<'a> {
    pub(crate) fn new(peer: Peer, measure: impl FnMut() -> f64 + 'a) -> Self {
        Self { peer, measure: Box::new(measure) }
    }
}

/// The order changes from round to round. One round before the first is not counted.
pub(crate) fn by_turns(rounds: usize, candidates: &mut [Candidate<'_>]) -> Samples {
    let mut samples = Samples { of: candidates.iter().map(|candidate| (candidate.peer, Vec::new())).collect() };
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    for round in 0..=rounds {
        fastrand::shuffle(&mut order);
        for &turn in &order {
            let nanoseconds = (candidates[turn].measure)();
            if round > 0 {
                samples.of[turn].1.push(nanoseconds);
            }
        }
    }
    samples
}

impl Samples {
    /// The first so many candidates, and the others.
    pub(crate) fn split_at(mut self, candidates: usize) -> (Self, Self) {
        let others = self.of.split_off(candidates);
        (self, Self { of: others })
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = Peer> {
        self.of.iter().map(|(peer, _)| *peer)
    }

    pub(crate) fn figure(&self, peer: Peer) -> Figure {
        Figure::of(self.rounds(peer).to_vec())
    }

    /// Of two figures of the same round.
    pub(crate) fn ratio(&self, peer: Peer, to: Peer) -> Figure {
        self.ratio_to(peer, self, to)
    }

    /// Of two figures of the same round, of two measurements that were made together.
    pub(crate) fn ratio_to(&self, peer: Peer, other: &Self, to: Peer) -> Figure {
        let pairs = self.rounds(peer).iter().zip(other.rounds(to));
        Figure::of(pairs.map(|(figure, reference)| figure / reference).collect())
    }

    fn rounds(&self, peer: Peer) -> &[f64] {
        let (_, rounds) = self.of.iter().find(|(of, _)| *of == peer).expect("it was measured");
        rounds
    }
}

impl Figure {
    fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let quantile = |share: f64| figures[((figures.len() - 1) as f64 * share).round() as usize];
        Self { median: quantile(0.5), noise: (quantile(0.75) - quantile(0.25)) / 2.0 }
    }
}

/// As a measurement wants it.
pub(crate) fn nanoseconds_each(took: Duration, calls: usize) -> f64 {
    took.as_nanos() as f64 / calls as f64
}
