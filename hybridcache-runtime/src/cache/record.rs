//! The metrics of a cache on the recorder of the crate `metrics`.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use metrics::{Label, Unit};
use tokio::runtime::Handle;

use crate::cache::HybridCache;
use crate::observe::metrics::{Family, MetricKind, MetricValue, Sample};
use crate::observe::openmetrics::label_of_bound;
use crate::primitives::timers::sleep;

/// The least time between two records.
const LEAST: Duration = Duration::from_millis(10);

impl HybridCache {
    /// Sets all [`metrics`](Self::metrics) on the recorder that the crate `metrics` has installed, under the same names and labels. Describes them
    /// the first time.
    ///
    /// That crate knows no histogram whose counts are set: `.._bucket` and `.._count` are counters, as in the text for Prometheus, and `.._sum` is a
    /// gauge. Call it before the recorder is read, or use [`record_metrics_every`](Self::record_metrics_every).
    ///
    /// ```
    /// # use hybridcache_runtime as hybridcache;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hybridcache::Error> {
    /// let cache = hybridcache::HybridCache::builder().build().await?;
    /// cache.record_metrics();
    /// # Ok(()) }
    /// ```
    pub fn record_metrics(&self) {
        let is_first = !self.events().stream.described.swap(true, Relaxed);
        for family in &self.metrics() {
            if is_first {
                describe(family);
            }
            family.samples.iter().for_each(|sample| record(family, sample));
        }
    }

    /// [`record_metrics`](Self::record_metrics) now and each time that `pause` (at least 10 ms) has passed, in a task that ends with the last handle
    /// of the cache. Outside of a tokio runtime there is no task: the metrics are recorded once, and a warning says so.
    pub fn record_metrics_every(&self, pause: Duration) {
        let weak = self.downgrade();
        let Ok(runtime) = Handle::try_current() else {
            self.record_metrics();
            let what = "`record_metrics_every` was called outside of a tokio runtime: the metrics were recorded once";
            return self.events().warn(true, "metrics_recorded_once", what, None);
        };
        runtime.spawn(async move {
            while let Some(cache) = weak() {
                cache.record_metrics();
                drop(cache);
                sleep(pause.max(LEAST)).await;
            }
        });
    }
}

fn describe(family: &Family) {
    let unit = match family.name {
        name if name.ends_with("_seconds") => Some(Unit::Seconds),
        name if name.ends_with("_bytes") => Some(Unit::Bytes),
        _ => None,
    };
    let (name, help) = (family.name, family.help);
    match (family.kind, unit) {
        (MetricKind::Counter, _) => metrics::describe_counter!(name, help),
        (MetricKind::Gauge, Some(unit)) => metrics::describe_gauge!(name, unit, help),
        (MetricKind::Gauge, None) => metrics::describe_gauge!(name, help),
        (MetricKind::Histogram, _) => {
            metrics::describe_counter!(format!("{name}_bucket"), help);
            metrics::describe_counter!(format!("{name}_count"), help);
            metrics::describe_gauge!(format!("{name}_sum"), help);
        }
    }
}

fn record(family: &Family, sample: &Sample) {
    let name = family.name;
    let labels: Vec<_> = sample.labels.iter().map(|(name, value)| Label::new(*name, value.clone())).collect();
    match (&sample.value, family.kind) {
        (MetricValue::Number(number), MetricKind::Gauge) => metrics::gauge!(name, labels).set(*number as f64),
        (MetricValue::Number(number), _) => metrics::counter!(name, labels).absolute(*number),
        (MetricValue::Distribution(distribution), _) => {
            for (bound, count) in &distribution.buckets {
                let labels = [labels.clone(), vec![Label::new("le", label_of_bound(*bound))]].concat();
                metrics::counter!(format!("{name}_bucket"), labels).absolute(*count);
            }
            metrics::counter!(format!("{name}_count"), labels.clone()).absolute(distribution.count());
            metrics::gauge!(format!("{name}_sum"), labels).set(distribution.sum);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test panics to fail")]
mod tests {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};

    use metrics::{
        Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    };

    use super::*;
    use crate::observe::EventKind;
    use crate::observe::operation::{Operation, StepResult};

    /// Keeps the values and the descriptions that it gets.
    #[derive(Clone, Default)]
    struct Kept {
        values: Arc<Mutex<HashMap<String, f64>>>,
        described: Arc<Mutex<Vec<String>>>,
    }

    struct Value(String, Kept);

    impl Value {
        fn set(&self, value: f64) {
            self.1.values.lock().unwrap().insert(self.0.clone(), value);
        }
    }

    impl CounterFn for Value {
        fn increment(&self, _: u64) {
            panic!("values are set");
        }

        fn absolute(&self, value: u64) {
            self.set(value as f64);
        }
    }

    impl GaugeFn for Value {
        fn increment(&self, _: f64) {
            panic!("values are set");
        }

        fn decrement(&self, _: f64) {
            panic!("values are set");
        }

        fn set(&self, value: f64) {
            Value::set(self, value);
        }
    }

    impl Kept {
        fn value(&self, key: &Key) -> Arc<Value> {
            let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            Arc::new(Value(format!("{} {}", key.name(), labels.join(" ")), self.clone()))
        }

        fn describe(&self, name: &KeyName) {
            self.described.lock().unwrap().push(name.as_str().to_owned());
        }
    }

    impl Recorder for Kept {
        fn describe_counter(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
            self.describe(&name);
        }

        fn describe_gauge(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
            self.describe(&name);
        }

        fn describe_histogram(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
            self.describe(&name);
        }

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(self.value(key))
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(self.value(key))
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            panic!("no histogram can be set")
        }
    }

    /// Killed by: adding what was counted before; describing again; a name or label of its own.
    #[test]
    fn the_recorder_gets_the_values_and_one_description_of_each_metric() {
        let (recorder, cache) = (Kept::default(), HybridCache::fallback());
        let (operation, result, took) = (Operation::Read, StepResult::Ok, Duration::from_millis(1));
        cache.events().happened(None, EventKind::SharedStep { operation, result, took });
        metrics::with_local_recorder(&recorder, || {
            cache.record_metrics();
            cache.local().breaker.open();
            cache.record_metrics();
        });
        let values = recorder.values.lock().unwrap();
        assert_eq!(values["hybridcache_breaker_openings_total cache=default"], 1.0);
        assert_eq!(values["hybridcache_breaker_open cache=default"], 1.0);
        let le = |bound: &str| {
            format!("hybridcache_shared_operation_duration_seconds_bucket cache=default operation=read le={bound}")
        };
        assert!(values.contains_key(&le("1.0")) && values.contains_key(&le("+Inf")), "as in the text for Prometheus");
        let described = recorder.described.lock().unwrap();
        assert_eq!(described.iter().filter(|name| *name == "hybridcache_hits_total").count(), 1);
        assert!(described.contains(&"hybridcache_value_bytes_bucket".to_owned()));
    }
}
