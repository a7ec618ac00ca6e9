//! A histogram with fixed buckets.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The upper bounds of a histogram's buckets.
#[derive(Debug)]
pub(crate) struct Buckets {
    /// In nanoseconds, or bytes.
    bounds: &'static [u64],
    /// How many of them are one unit of the metric.
    unit: f64,
}

const fn micros(bound: u64) -> u64 {
    bound * 1_000
}

const SECOND: f64 = 1e9;

/// The bounds for loads and waits: 1 ms to 30 s.
pub(crate) static LOADS: Buckets = Buckets {
    bounds: &[
        micros(1_000),
        micros(2_500),
        micros(5_000),
        micros(10_000),
        micros(25_000),
        micros(50_000),
        micros(100_000),
        micros(250_000),
        micros(500_000),
        micros(1_000_000),
        micros(2_500_000),
        micros(5_000_000),
        micros(10_000_000),
        micros(30_000_000),
    ],
    unit: SECOND,
};

/// The bounds for steps of the shared tier: 0.1 ms to 1 s.
pub(crate) static STEPS: Buckets = Buckets {
    bounds: &[
        micros(100),
        micros(250),
        micros(500),
        micros(1_000),
        micros(2_500),
        micros(5_000),
        micros(10_000),
        micros(25_000),
        micros(50_000),
        micros(100_000),
        micros(250_000),
        micros(1_000_000),
    ],
    unit: SECOND,
};

/// The bounds for values: 64 bytes to 16 MiB.
pub(crate) static BYTES: Buckets = Buckets {
    bounds: &[64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20],
    unit: 1.0,
};

/// The most bounds of any of them.
const MOST: usize = 14;

/// Counts values by size.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: &'static Buckets,
    /// One for each bound; behind them, the values beyond the last bound.
    counts: [AtomicU64; MOST + 1],
    sum: AtomicU64,
}

impl Histogram {
    pub(crate) fn new(buckets: &'static Buckets) -> Self {
        Self { buckets, counts: Default::default(), sum: AtomicU64::new(0) }
    }

    pub(crate) fn took(&self, took: Duration) {
        self.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn add(&self, value: u64) {
        let bucket = self.buckets.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Distribution {
        let Buckets { bounds, unit } = *self.buckets;
        let (mut count, mut buckets) = (0, Vec::with_capacity(bounds.len() + 1));
        for (nth, counted) in self.counts.iter().enumerate().take(bounds.len() + 1) {
            count += counted.load(Relaxed);
            let bound = bounds.get(nth).map_or(f64::INFINITY, |bound| *bound as f64 / unit);
            buckets.push((bound, count));
        }
        Distribution { buckets, sum: self.sum.load(Relaxed) as f64 / unit }
    }
}

/// A snapshot of a histogram.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Distribution {
    /// The upper bound of each bucket, and how many values are at most as large; the last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
    /// The sum of all values.
    pub sum: f64,
}

impl Distribution {
    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.buckets.last().map_or(0, |(_, count)| *count)
    }

    /// The value that this share of all values does not exceed (0.99: the 99th percentile), interpolated within its bucket as
    /// PromQL's `histogram_quantile` does; the greatest finite bound for values beyond it. `None` where nothing was counted.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let rank = share.clamp(0.0, 1.0) * self.count() as f64;
        let at = self.buckets.iter().position(|(_, count)| *count > 0 && *count as f64 >= rank)?;
        let (low, below) = if at == 0 { (0.0, 0) } else { self.buckets[at - 1] };
        let (high, count) = self.buckets[at];
        if high.is_infinite() {
            return Some(low);
        }
        Some(low + (high - low) * (rank - below as f64).max(0.0) / (count - below).max(1) as f64)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        if self.buckets.is_empty() {
            return *self = other.clone();
        }
        for ((_, count), (_, more)) in self.buckets.iter_mut().zip(&other.buckets) {
            *count += more;
        }
        self.sum += other.sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Killed by: a bound that is exclusive; counts that are not cumulative; a sum in nanoseconds.
    #[test]
    fn a_value_counts_in_the_first_bucket_that_holds_it_and_in_all_behind() {
        let histogram = Histogram::new(&LOADS);
        for millis in [1, 2, 40_000] {
            histogram.took(Duration::from_millis(millis));
        }
        let Distribution { buckets, sum } = histogram.snapshot();
        assert_eq!(buckets[..3], [(0.001, 1), (0.0025, 2), (0.005, 2)]);
        assert_eq!(buckets[13..], [(30.0, 2), (f64::INFINITY, 3)]);
        assert!((sum - 40.003).abs() < 1e-9);
    }

    #[test]
    fn quantiles_are_interpolated() {
        let histogram = Histogram::new(&BYTES);
        assert_eq!(histogram.snapshot().quantile(0.5), None);
        (0..10).for_each(|_| histogram.add(200));
        assert_eq!(histogram.snapshot().quantile(0.5), Some(160.0));
        (0..90).for_each(|_| histogram.add(1 << 30));
        assert_eq!(histogram.snapshot().quantile(0.99), Some((16 << 20) as f64), "beyond the last bound");
    }
}
