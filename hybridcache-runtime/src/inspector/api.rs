//! What the page asks for, as JSON.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use http::request::Parts;
use http::{Method, Response};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::Value;

use super::answers::{json, problem};
use super::settings::Inspector;
use crate::cache::HybridCache;
use crate::cache::fleet::Summary;
use crate::cache::info::EntryInfo;
use crate::entry::{Entry, State};
use crate::function::call_key::Key;
use crate::observe::ring::Kept;
use crate::observe::stats::Stats;
use crate::observe::{Keyed as _, Tier};
use crate::primitives::timers::sleep;
use crate::shared::Invalidation;

/// How long hot keys are sampled at most.
const LONGEST_SAMPLE: u64 = 5_000;
/// How many events of a key, and how many hot keys, are shown.
const SHOWN: usize = 100;
/// The longest value that is shown, in bytes.
const LONGEST_VALUE: usize = 64 << 10;

pub(super) async fn answer(inspector: &Inspector, parts: &Parts, name: &str) -> Response<Body> {
    let parameters = match Parameters::of(parts.uri.query().unwrap_or_default()) {
        Ok(parameters) => parameters,
        Err(why) => return problem(400, why),
    };
    let cache = &inspector.cache;
    match (&parts.method, name) {
        (&Method::GET, "overview") => json(&Overview::of(cache, inspector.admits(parts))),
        (&Method::GET, "fleet") => json(&cache.fleet().await),
        (&Method::GET, "hot") => match parameters.millis() {
            Ok(millis) => json(&hot(cache, millis).await),
            Err(why) => problem(400, &why),
        },
        (&Method::GET, "key") => match parameters.key() {
            Ok((function, key)) => json(&life(inspector, function, key)),
            Err(why) => problem(400, why),
        },
        (&Method::GET, "events") => json(&events(cache, |_| true)),
        (&Method::POST, "invalidate") => act(inspector, parts, &parameters, Invalidation::Delete).await,
        (&Method::POST, "expire") => act(inspector, parts, &parameters, Invalidation::Expire).await,
        (_, "overview" | "fleet" | "hot" | "key" | "events") => problem(405, "this is read with GET"),
        (_, "invalidate" | "expire") => problem(405, "this is done with POST"),
        _ => problem(404, "the inspector has no such answer"),
    }
}

/// The parameters behind `?`.
struct Parameters(BTreeMap<String, String>);

impl Parameters {
    fn of(query: &str) -> Result<Self, &'static str> {
        let decoded = |text: &str| {
            let text = text.replace('+', " ");
            percent_decode_str(&text)
                .decode_utf8()
                .map(|text| text.into_owned())
                .map_err(|_| "a parameter is not UTF-8")
        };
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, decoded(value)?))
        });
        pairs.collect::<Result<_, _>>().map(Self)
    }

    fn key(&self) -> Result<(&str, &str), &'static str> {
        match (self.0.get("function"), self.0.get("key")) {
            (Some(function), Some(key)) => Ok((function, key)),
            _ => Err("needs `function` and `key`"),
        }
    }

    fn millis(&self) -> Result<u64, String> {
        let Some(millis) = self.0.get("ms") else { return Ok(500) };
        match millis.parse() {
            Ok(millis) if (1..=LONGEST_SAMPLE).contains(&millis) => Ok(millis),
            _ => Err(format!("`ms` is a number from 1 to {LONGEST_SAMPLE}")),
        }
    }
}

/// What this process shows of itself.
#[derive(Serialize)]
struct Overview {
    #[serde(flatten)]
    summary: Summary,
    namespace: String,
    actions: bool,
    functions: Vec<FunctionRow>,
    warnings: Vec<WarningRow>,
}

#[derive(Serialize)]
struct FunctionRow {
    name: String,
    calls: u64,
    hits: u64,
    hit_ratio: f64,
    stale: u64,
    misses: u64,
    joined: u64,
    loads: u64,
    errors: u64,
    load_p50: Option<f64>,
    load_p99: Option<f64>,
    entries: u64,
    bytes: u64,
    evictions: u64,
}

#[derive(Serialize)]
struct WarningRow {
    at: u64,
    kind: String,
    message: String,
    times: u64,
}

impl Overview {
    fn of(cache: &HybridCache, actions: bool) -> Self {
        let functions: Vec<_> = cache.functions().iter().map(|function| FunctionRow::of(function)).collect();
        let warnings = cache.warnings().into_iter().rev().map(|warning| WarningRow {
            at: unix_millis(warning.at),
            kind: warning.kind.to_owned(),
            message: warning.message,
            times: warning.times,
        });
        Self {
            summary: cache.summary(),
            namespace: cache.namespace().to_owned(),
            actions,
            functions,
            warnings: warnings.collect(),
        }
    }
}

impl FunctionRow {
    fn of(function: &crate::function::Function) -> Self {
        let counters = &function.events.counters;
        let stats: Stats = counters.snapshot();
        let loads = counters.load_durations.snapshot();
        let (entries, bytes) = counters.in_memory();
        Self {
            name: function.name().to_owned(),
            calls: stats.calls(),
            hits: stats.hits(),
            hit_ratio: stats.hit_ratio(),
            stale: stats.stale_hits,
            misses: stats.misses,
            joined: stats.joined,
            loads: stats.loads,
            errors: stats.load_errors,
            load_p50: loads.quantile(0.5),
            load_p99: loads.quantile(0.99),
            entries,
            bytes,
            evictions: stats.evictions,
        }
    }
}

#[derive(Serialize)]
struct HotKeys {
    millis: u64,
    /// How much of that time hits were counted.
    share: f64,
    hits: u64,
    keys: Vec<HotKey>,
}

#[derive(Serialize)]
struct HotKey {
    function: String,
    key: String,
    hits: u64,
}

/// Hits take the slow path while they are counted: for an eighth of the time.
async fn hot(cache: &HybridCache, millis: u64) -> HotKeys {
    const ON: u64 = 5;
    const OFF: u64 = 35;
    let looking = Looking::begin(cache);
    let windows = millis.div_ceil(ON + OFF);
    for _ in 0..windows {
        cache.watch_hits(true);
        sleep(Duration::from_millis(ON)).await;
        cache.watch_hits(false);
        sleep(Duration::from_millis(OFF)).await;
    }
    let (keys, hits) = looking.0.events().stream.sampler.hottest(SHOWN);
    let keys = keys.into_iter().map(|((function, key), hits)| HotKey { function, key, hits });
    HotKeys { millis: windows * (ON + OFF), share: ON as f64 / (ON + OFF) as f64, hits, keys: keys.collect() }
}

/// While it lives, hits may be counted by key. It is a guard: a browser that goes away ends the counting.
struct Looking<'a>(&'a HybridCache);

impl<'a> Looking<'a> {
    fn begin(cache: &'a HybridCache) -> Self {
        cache.events().stream.sampler.begin();
        Self(cache)
    }
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        if self.0.events().stream.sampler.end() {
            self.0.watch_hits(false);
        }
    }
}

#[derive(Serialize)]
struct Moment {
    at: u64,
    function: Option<String>,
    key: Option<String>,
    what: String,
}

fn events(cache: &HybridCache, is_meant: impl Fn(&Kept) -> bool) -> Vec<Moment> {
    let kept = cache.events().stream.ring.latest(SHOWN, is_meant);
    let moments = kept.into_iter().map(|kept| Moment {
        at: unix_millis(kept.at),
        function: kept.function.as_deref().map(str::to_owned),
        key: kept.key.map(|key| key.readable().into_owned()),
        what: kept.what,
    });
    moments.collect()
}

/// The life of a key in this process.
#[derive(Serialize)]
struct Life {
    function: String,
    key: String,
    entry: Option<EntryRow>,
    events: Vec<Moment>,
}

#[derive(Serialize)]
struct EntryRow {
    state: &'static str,
    age: f64,
    fresh_for: f64,
    expires_in: f64,
    bytes: usize,
    value: Option<Value>,
}

fn life(inspector: &Inspector, function: &str, key: &str) -> Life {
    let cache = &inspector.cache;
    let is_meant = |kept: &Kept| {
        kept.function.as_deref() == Some(function) && kept.key.as_ref().is_some_and(|known| known.readable() == key)
    };
    let entry = cache.entry_called(function, key).map(|entry| EntryRow::of(inspector, function, &entry));
    Life { function: function.to_owned(), key: key.to_owned(), entry, events: events(cache, is_meant) }
}

impl EntryRow {
    fn of(inspector: &Inspector, function: &str, entry: &Entry) -> Self {
        let cache = &inspector.cache;
        let info = EntryInfo::of_entry(cache, entry, Tier::Memory, Vec::new());
        Self {
            state: match cache.state(entry, cache.clock().now()) {
                State::Fresh => "fresh",
                State::Stale => "stale",
                State::Unverified => "unverified",
                State::Gone => "gone",
            },
            age: info.age().as_secs_f64(),
            fresh_for: info.fresh_for().as_secs_f64(),
            expires_in: info.expires_in().as_secs_f64(),
            bytes: info.bytes(),
            value: value(inspector, function, entry),
        }
    }
}

/// What the user shows of a value.
fn value(inspector: &Inspector, function: &str, entry: &Entry) -> Option<Value> {
    let show = inspector.values.as_ref()?;
    let whole = entry.meta.key.function.as_json(&entry.value, LONGEST_VALUE)?;
    match catch_unwind(AssertUnwindSafe(|| show(function, whole))) {
        Ok(shown) => shown,
        Err(_) => {
            let what = "the closure of `Inspector::values` has panicked: nothing is shown of this value";
            entry.meta.key.function.events.warn(true, "inspector_values", what, None);
            None
        }
    }
}

async fn act(inspector: &Inspector, parts: &Parts, parameters: &Parameters, mode: Invalidation) -> Response<Body> {
    if parts.headers.get("x-hybridcache").is_none_or(|value| value != "1") {
        return problem(403, "needs the header `X-Hybridcache: 1`");
    }
    if !inspector.admits(parts) {
        return problem(403, "this inspector is read-only for this request");
    }
    let (function, name) = match parameters.key() {
        Ok(key) => key,
        Err(why) => return problem(400, why),
    };
    let Some(entry) = inspector.cache.entry_called(function, name) else {
        return problem(404, "this process's memory has no entry of this key");
    };
    let key = Arc::new(Key::new(entry.meta.key.clone()));
    match inspector.cache.invalidate(&key, mode).await {
        Ok(()) => json(&serde_json::json!({ "done": true })),
        Err(error) => problem(503, &error.to_string()),
    }
}

fn unix_millis(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
