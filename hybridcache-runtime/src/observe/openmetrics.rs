//! Metrics as the text that Prometheus scrapes: OpenMetrics 1.0.

use std::fmt::{self, Display, Formatter};

use super::metrics::{Family, MetricKind, MetricValue, Metrics, Sample};

/// The `Content-Type` of [`Metrics::to_openmetrics`].
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// assert!(hybridcache::OPENMETRICS_CONTENT_TYPE.starts_with("application/openmetrics-text"));
/// ```
pub const OPENMETRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Metrics {
    /// The text for a `/metrics` route, to be sent with [`OPENMETRICS_CONTENT_TYPE`].
    ///
    /// ```
    /// # use hybridcache_runtime as hybridcache;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hybridcache::Error> {
    /// let cache = hybridcache::HybridCache::builder().namespace("shop").build().await?;
    /// let text = cache.metrics().to_openmetrics();
    /// assert!(text.contains("hybridcache_pending_invalidations{cache=\"shop\"} 0\n"));
    /// assert!(text.ends_with("# EOF\n"));
    /// # Ok(()) }
    /// ```
    pub fn to_openmetrics(&self) -> String {
        let families = self.families.iter().map(exposition);
        families.chain(["# EOF\n".to_owned()]).collect()
    }
}

/// One family as text.
fn exposition(family: &Family) -> String {
    let kind = match family.kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram => "histogram",
    };
    // The suffix belongs to the sample of a counter, not to its name.
    let name = match family.kind {
        MetricKind::Counter => family.name.trim_end_matches("_total"),
        MetricKind::Gauge | MetricKind::Histogram => family.name,
    };
    let mut text = format!("# TYPE {name} {kind}\n");
    for unit in ["seconds", "bytes"] {
        if name.ends_with(&format!("_{unit}")) {
            text += &format!("# UNIT {name} {unit}\n");
        }
    }
    text += &format!("# HELP {name} {}\n", Escaped(family.help));
    for sample in &family.samples {
        write_sample(&mut text, family.name, sample);
    }
    text
}

fn write_sample(text: &mut String, name: &str, Sample { labels, value }: &Sample) {
    let distribution = match value {
        MetricValue::Number(number) => return *text += &format!("{name}{} {number}\n", Labels(labels, None)),
        MetricValue::Distribution(distribution) => distribution,
    };
    for (bound, count) in &distribution.buckets {
        *text += &format!("{name}_bucket{} {count}\n", Labels(labels, Some(*bound)));
    }
    let (count, sum) = (distribution.count(), distribution.sum);
    *text += &format!("{name}_sum{labels} {sum}\n{name}_count{labels} {count}\n", labels = Labels(labels, None));
}

/// `{cache="shop",le="0.1"}`
struct Labels<'a>(&'a [(&'static str, String)], Option<f64>);

impl Display for Labels<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut before = '{';
        for (name, value) in self.0 {
            write!(f, "{before}{name}=\"{}\"", Escaped(value))?;
            before = ',';
        }
        match self.1 {
            Some(bound) => write!(f, "{before}le=\"{}\"", label_of_bound(bound))?,
            None if before == '{' => return Ok(()),
            None => {}
        }
        f.write_str("}")
    }
}

/// The value of the label `le`. A bound is a float: `1.0`, not `1`.
pub(crate) fn label_of_bound(bound: f64) -> String {
    if bound.is_infinite() { "+Inf".to_owned() } else { format!("{bound:?}") }
}

/// Text with backslashes, quotes and line ends escaped.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['\\', '"', '\n']) {
            let (before, special) = rest.split_at(at);
            f.write_str(before)?;
            f.write_str(match special.as_bytes()[0] {
                b'\\' => "\\\\",
                b'"' => "\\\"",
                _ => "\\n",
            })?;
            rest = &special[1..];
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::super::histogram::Distribution;
    use super::*;

    fn family(name: &'static str, kind: MetricKind, value: MetricValue) -> Family {
        let labels = vec![("cache", "a\\b\"c\nd".to_owned())];
        Family { samples: vec![Sample { labels, value }], ..Family::new(name, kind, "Help.") }
    }

    /// Killed by: a suffix in the name of a counter's family; labels that are not escaped; a bound without a point.
    #[test]
    fn the_text_is_as_the_format_says() {
        let counter = family("hybridcache_loads_total", MetricKind::Counter, MetricValue::Number(7));
        let distribution = Distribution { buckets: vec![(1.0, 2), (f64::INFINITY, 3)], sum: 4.5 };
        let histogram =
            family("hybridcache_load_duration_seconds", MetricKind::Histogram, MetricValue::Distribution(distribution));
        let metrics = Metrics { families: vec![counter, histogram] };
        let expected = r##"# TYPE hybridcache_loads counter
# HELP hybridcache_loads Help.
hybridcache_loads_total{cache="a\\b\"c\nd"} 7
# TYPE hybridcache_load_duration_seconds histogram
# UNIT hybridcache_load_duration_seconds seconds
# HELP hybridcache_load_duration_seconds Help.
hybridcache_load_duration_seconds_bucket{cache="a\\b\"c\nd",le="1.0"} 2
hybridcache_load_duration_seconds_bucket{cache="a\\b\"c\nd",le="+Inf"} 3
hybridcache_load_duration_seconds_sum{cache="a\\b\"c\nd"} 4.5
hybridcache_load_duration_seconds_count{cache="a\\b\"c\nd"} 3
# EOF
"##;
        assert_eq!(metrics.to_openmetrics(), expected);
    }
}
