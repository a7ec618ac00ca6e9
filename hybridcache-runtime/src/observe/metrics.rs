//! Metrics as data: families of samples, in the terms of OpenMetrics.

use super::histogram::Distribution;

/// All metrics of a cache at one moment: [`HybridCache::metrics`](crate::HybridCache::metrics).
///
/// [`to_openmetrics`](Self::to_openmetrics) is the text that Prometheus scrapes. For another system, iterate over the families.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), hybridcache::Error> {
/// let cache = hybridcache::HybridCache::builder().build().await?;
/// for family in cache.metrics() {
///     println!("{} ({:?}): {}, {} samples", family.name, family.kind, family.help, family.samples.len());
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) families: Vec<Family>,
}

/// All samples of one metric.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Family {
    /// Its name, with the suffix `_total` where it is a counter.
    pub name: &'static str,
    /// What it means, in a sentence.
    pub help: &'static str,
    /// Its type.
    pub kind: MetricKind,
    /// One sample for each set of labels.
    pub samples: Vec<Sample>,
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows, from zero at the start of the process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

/// The value of a metric for one set of labels.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sample {
    /// Names and values, unescaped: `cache` first, then `function`, then the metric's own. Never a key.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: MetricValue,
}

/// The value of a sample.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MetricValue {
    /// Of a counter or a gauge.
    Number(u64),
    /// Of a histogram, in the unit of the metric's name.
    Distribution(Distribution),
}

impl IntoIterator for Metrics {
    type Item = Family;
    type IntoIter = std::vec::IntoIter<Family>;

    fn into_iter(self) -> Self::IntoIter {
        self.families.into_iter()
    }
}

impl<'a> IntoIterator for &'a Metrics {
    type Item = &'a Family;
    type IntoIter = std::slice::Iter<'a, Family>;

    fn into_iter(self) -> Self::IntoIter {
        self.families.iter()
    }
}

impl Family {
    pub(crate) fn new(name: &'static str, kind: MetricKind, help: &'static str) -> Self {
        Self { name, help, kind, samples: Vec::new() }
    }
}
