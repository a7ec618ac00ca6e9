//! The metrics of a cache, from its counters.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::cache::HybridCache;
use crate::observe::counters::Counters;
use crate::observe::histogram::{Distribution, Histogram};
use crate::observe::metrics::{Family, MetricKind, MetricValue, Metrics, Sample};
use crate::observe::operation::{Operation, StepResult};
use crate::observe::warnings::Warning;
use crate::observe::{EvictionCause, InvalidationKind, LoadResult, Tier, UnsendableReason};

impl HybridCache {
    /// All metrics of this cache now. They are read from counters: it costs microseconds for each function, and calls do not notice.
    ///
    /// Labels are `cache` (the namespace) and `function` (its name without the types of its instantiation; at most 512 functions, the rest
    /// are together under `other`), never a key. What each metric means is in the guide, page `observability`.
    ///
    /// See [`Metrics`] for an example.
    pub fn metrics(&self) -> Metrics {
        let functions = self.functions();
        let mut rows = Rows { cache: self.namespace(), functions: BTreeMap::new(), whole: &self.events().counters };
        for function in &functions {
            rows.functions.entry(function.label()).or_default().push(&function.events.counters);
        }
        let mut families = rows.of_functions();
        families.extend(self.of_the_whole(&rows));
        Metrics { families }
    }

    /// What this cache has warned of: the latest 64 kinds, the latest one last. The same warnings are in the log.
    ///
    /// ```
    /// # use hybridcache_runtime as hybridcache;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hybridcache::Error> {
    /// let cache = hybridcache::HybridCache::builder().build().await?;
    /// for warning in cache.warnings() {
    ///     println!("{} ({} times): {}", warning.kind, warning.times, warning.message);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn warnings(&self) -> Vec<Warning> {
        self.events().stream.warnings.all()
    }

    /// Whether calls use the shared tier now: there is one, it is connected, and the breaker is closed. Always `false` for a cache in memory
    /// only.
    pub fn is_connected(&self) -> bool {
        self.remote().is_some_and(|remote| remote.is_subscribed()) && !self.local().breaker.is_open()
    }

    fn of_the_whole(&self, rows: &Rows<'_>) -> Vec<Family> {
        let (breaker, stats) = (&self.local().breaker, self.stats());
        let epochs = self.events().counters.epochs.load(Relaxed);
        let received = self.events().counters.invalidations_received.load(Relaxed);
        let mut families = vec![
            rows.counter(
                "hybridcache_invalidations_received_total",
                "Invalidations by other processes that arrived.",
                received,
            ),
            rows.counter(
                "hybridcache_degraded_loads_total",
                "Loads without a lease where there is a shared tier.",
                stats.degraded_loads,
            ),
            rows.gauge(
                "hybridcache_breaker_open",
                "1 while calls do not use the shared tier.",
                breaker.is_open().into(),
            ),
            rows.counter("hybridcache_breaker_openings_total", "How often the breaker has opened.", breaker.openings()),
            rows.gauge(
                "hybridcache_pending_invalidations",
                "Invalidations that the shared tier has not acknowledged.",
                stats.pending_invalidations,
            ),
            rows.counter(
                "hybridcache_epochs_total",
                "Streams of messages that began: connections and reconnections.",
                epochs,
            ),
        ];
        if let Some(remote) = self.remote() {
            families.push(rows.gauge(
                "hybridcache_shared_up",
                "1 while there is a connection to the shared tier.",
                remote.is_subscribed().into(),
            ));
        }
        families.extend(self.of_steps());
        families
    }

    /// One sample for each operation that was asked at least once.
    fn of_steps(&self) -> [Family; 2] {
        let mut results = Family::new(
            "hybridcache_shared_operations_total",
            MetricKind::Counter,
            "Steps of the shared tier, by how they ended.",
        );
        let mut durations = Family::new(
            "hybridcache_shared_operation_duration_seconds",
            MetricKind::Histogram,
            "How long steps of the shared tier took, but for abandoned ones.",
        );
        let steps = &self.events().stream.steps;
        for operation in Operation::ALL {
            let of_operation = steps.of(operation);
            let counts = read(&of_operation.results);
            if counts.iter().all(|count| *count == 0) {
                continue;
            }
            let labels = vec![("cache", self.namespace().to_owned()), ("operation", operation.as_str().to_owned())];
            for (result, count) in StepResult::ALL.into_iter().zip(counts) {
                let labels = [labels.clone(), vec![("result", result.as_str().to_owned())]].concat();
                results.samples.push(Sample { labels, value: MetricValue::Number(count) });
            }
            let value = MetricValue::Distribution(of_operation.durations.snapshot());
            durations.samples.push(Sample { labels, value });
        }
        [results, durations]
    }
}

/// The counters of one cache, by the label of their function.
struct Rows<'a> {
    cache: &'a str,
    functions: BTreeMap<&'a str, Vec<&'a Counters>>,
    /// Of what concerns no function.
    whole: &'a Counters,
}

impl Rows<'_> {
    fn of_functions(&self) -> Vec<Family> {
        let tiers = Tier::ALL.map(Tier::as_str);
        vec![
            self.by_label(
                "hybridcache_hits_total",
                "Calls that were answered from the cache.",
                "tier",
                tiers,
                |counters| [counters.memory_hits().0, counters.hits_shared.load(Relaxed)],
            ),
            self.by_label("hybridcache_stale_hits_total", "Hits that got a stale value.", "tier", tiers, |counters| {
                [counters.memory_hits().1, counters.stale_shared.load(Relaxed)]
            }),
            self.each("hybridcache_misses_total", "Calls that found nothing and loaded.", |counters| &counters.misses),
            self.each(
                "hybridcache_joined_total",
                "Calls that waited for a load already running in this process.",
                |counters| &counters.joined,
            ),
            self.each("hybridcache_bypassed_total", "Calls that loaded without a look into the cache.", |counters| {
                &counters.bypassed
            }),
            self.by_label(
                "hybridcache_loads_total",
                "Loads that ended, by how they ended.",
                "result",
                LoadResult::ALL.map(LoadResult::as_str),
                |counters| read(&counters.results),
            ),
            self.histogram("hybridcache_load_duration_seconds", "How long the bodies of loads ran.", |counters| {
                &counters.load_durations
            }),
            self.histogram("hybridcache_wait_duration_seconds", "How long joined calls waited.", |counters| {
                &counters.waits
            }),
            self.each("hybridcache_refreshes_total", "Background refreshes that began.", |counters| {
                &counters.refreshes
            }),
            self.by_label(
                "hybridcache_evictions_total",
                "Entries that memory gave up.",
                "cause",
                EvictionCause::ALL.map(EvictionCause::as_str),
                |counters| read(&counters.evictions),
            ),
            self.invalidations(),
            self.each(
                "hybridcache_fenced_publishes_total",
                "Results of loads that an invalidation overtook.",
                |counters| &counters.fenced,
            ),
            self.each(
                "hybridcache_undecodable_total",
                "Entries of the shared tier that could not be read.",
                |counters| &counters.undecodable,
            ),
            self.each(
                "hybridcache_opened_with_old_key_total",
                "Entries of the shared tier that were decrypted with another key than the primary one.",
                |counters| &counters.opened_with_old_key,
            ),
            self.by_label(
                "hybridcache_unsendable_total",
                "Values that stayed in memory only.",
                "reason",
                UnsendableReason::ALL.map(UnsendableReason::as_str),
                |counters| read(&counters.unsendable),
            ),
            self.gauge_of_each("hybridcache_memory_entries", "Entries in memory.", |counters| &counters.memory_entries),
            self.gauge_of_each(
                "hybridcache_memory_bytes",
                "What the entries in memory weigh: values, keys and bookkeeping.",
                |counters| &counters.memory_bytes,
            ),
            self.histogram("hybridcache_value_bytes", "Sizes of the values that loads stored.", |counters| {
                &counters.value_bytes
            }),
        ]
    }

    /// Tags and whole namespaces belong to no function.
    fn invalidations(&self) -> Family {
        let mut family = self.by_label(
            "hybridcache_invalidations_total",
            "Invalidations, expirations and puts by this process.",
            "kind",
            InvalidationKind::ALL.map(InvalidationKind::as_str),
            |counters| read(&counters.invalidations),
        );
        family
            .samples
            .retain(|sample| !matches!(sample.labels.last(), Some((_, kind)) if kind == "tag" || kind == "all"));
        for (kind, times) in InvalidationKind::ALL.into_iter().zip(read(&self.whole.invalidations)) {
            // `function`: of one that this process has not called yet.
            if matches!(kind, InvalidationKind::Tag | InvalidationKind::Function | InvalidationKind::All) {
                let labels = vec![("cache", self.cache.to_owned()), ("kind", kind.as_str().to_owned())];
                family.samples.push(Sample { labels, value: MetricValue::Number(times) });
            }
        }
        family
    }

    fn each(&self, name: &'static str, help: &'static str, counter: impl Fn(&Counters) -> &AtomicU64) -> Family {
        let samples = self.functions.iter().map(|(function, counters)| {
            let total = counters.iter().map(|counters| counter(counters).load(Relaxed)).sum();
            Sample { labels: self.labels(function, None), value: MetricValue::Number(total) }
        });
        Family { samples: samples.collect(), ..Family::new(name, MetricKind::Counter, help) }
    }

    fn gauge_of_each(&self, name: &'static str, help: &'static str, gauge: impl Fn(&Counters) -> &AtomicU64) -> Family {
        Family { kind: MetricKind::Gauge, ..self.each(name, help, gauge) }
    }

    fn by_label<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: [&'static str; N],
        read: impl Fn(&Counters) -> [u64; N],
    ) -> Family {
        let mut family = Family::new(name, MetricKind::Counter, help);
        for (function, counters) in &self.functions {
            let mut totals = [0; N];
            for counts in counters.iter().map(|counters| read(counters)) {
                totals.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
            }
            family.samples.extend(values.iter().zip(totals).map(|(value, total)| Sample {
                labels: self.labels(function, Some((label, value))),
                value: MetricValue::Number(total),
            }));
        }
        family
    }

    fn histogram(&self, name: &'static str, help: &'static str, histogram: impl Fn(&Counters) -> &Histogram) -> Family {
        let samples = self.functions.iter().map(|(function, counters)| {
            let mut total = Distribution::default();
            counters.iter().for_each(|counters| total.add(&histogram(counters).snapshot()));
            Sample { labels: self.labels(function, None), value: MetricValue::Distribution(total) }
        });
        Family { samples: samples.collect(), ..Family::new(name, MetricKind::Histogram, help) }
    }

    fn counter(&self, name: &'static str, help: &'static str, value: u64) -> Family {
        self.single(Family::new(name, MetricKind::Counter, help), value)
    }

    fn gauge(&self, name: &'static str, help: &'static str, value: u64) -> Family {
        self.single(Family::new(name, MetricKind::Gauge, help), value)
    }

    fn single(&self, family: Family, value: u64) -> Family {
        let labels = vec![("cache", self.cache.to_owned())];
        Family { samples: vec![Sample { labels, value: MetricValue::Number(value) }], ..family }
    }

    fn labels(&self, function: &str, own: Option<(&'static str, &str)>) -> Vec<(&'static str, String)> {
        let labels = [("cache", self.cache), ("function", function)].into_iter().chain(own);
        labels.map(|(name, value)| (name, value.to_owned())).collect()
    }
}

fn read<const N: usize>(counters: &[AtomicU64; N]) -> [u64; N] {
    counters.each_ref().map(|counter| counter.load(Relaxed))
}
