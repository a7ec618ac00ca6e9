//! What a cache over Redis says of itself: reports of calls, metrics, warnings and spans.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, LazyLock, Mutex};

use hybridcache::{HybridCache, MetricValue, Source, Tier, bypass, explain};
use hybridcache_test_support::FaultProxy;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};

use crate::database::Order;
use crate::fleet::Fleet;
use crate::invalidation::hold_load;
use crate::recovery::cut_off;
use crate::shop::Shop;
use crate::waiting::eventually;

async fn source(shop: &Shop, id: u64) -> (Source, bool) {
    let (result, report) = explain(shop.item(id)).await;
    result.unwrap();
    assert_eq!(report.age().is_some(), report.expires_in().is_some());
    (report.source(), report.is_stale())
}

/// The value of a sample with these labels; 0 where there is none.
fn number(cache: &HybridCache, name: &str, labels: &[&str]) -> u64 {
    let family = cache.metrics().into_iter().find(|family| family.name == name).unwrap();
    let has_all = |sample: &&hybridcache::Sample| {
        labels.iter().all(|label| sample.labels.iter().any(|(_, value)| value == label))
    };
    family.samples.iter().find(has_all).map_or(0, |sample| match &sample.value {
        MetricValue::Number(number) => *number,
        MetricValue::Distribution(distribution) => distribution.count(),
        other => panic!("{other:?}"),
    })
}

/// Killed by: memory for a value that was read from Redis; the age since it was read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_says_which_tier_a_value_came_from() {
    let fleet = Fleet::start();
    let (first, second) = (fleet.shop().await, fleet.shop().await);
    assert_eq!(source(&first, 1).await, (Source::Load, false));
    assert!(second.item_entry(1).info().await.is_some_and(|info| info.tier() == Tier::Shared));
    let (_, report) = explain(second.item(1)).await;
    assert_eq!((report.source(), report.is_stale(), report.key()), (Source::Shared, false, "1"));
    assert!(report.took() <= std::time::Duration::from_secs(5) && report.expires_in().is_some());
    assert_eq!(source(&second, 1).await, (Source::Memory, false));
    let info = second.item_entry(1).info().await.unwrap();
    assert_eq!(info.tier(), Tier::Memory);
    assert!(info.age() >= report.age().unwrap(), "the load was by another process");
    assert_eq!(explain(bypass(second.item(1))).await.1.source(), Source::Bypassed);
    first.item_entry(1).expire().await.unwrap();
    eventually("the message arrives", async || {
        second.item_entry(1).info().await.is_some_and(|info| info.fresh_for().is_zero())
    })
    .await;
    fleet.database.order(1, &[Order::Hold]).await;
    assert_eq!(source(&second, 1).await, (Source::Memory, true));
    let third = fleet.shop().await;
    assert_eq!(source(&third, 1).await, (Source::Shared, true));
}

/// Killed by: a joined call that counts as its leader's load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_of_a_joined_call_and_of_calls_in_an_outage() {
    let fleet = Fleet::start();
    let proxy = FaultProxy::start(fleet.redis.port());
    let shop = fleet.shop_at(&proxy.url(), |builder| builder).await;
    let leader = hold_load(&fleet, &shop, 7).await;
    let own = shop.clone();
    let joiner = tokio::spawn(async move { explain(own.item(7)).await.1 });
    eventually("it joins", async || shop.cache.stats().joined == 1).await;
    fleet.database.release(7, 1).await;
    leader.await.unwrap();
    assert_eq!(joiner.await.unwrap().source(), Source::Joined);
    assert!(shop.cache.is_connected());
    cut_off(&proxy);
    eventually("the connection is lost", async || !shop.cache.is_connected()).await;
    assert_eq!(source(&shop, 7).await, (Source::Memory, false), "an outage is no reason not to serve it");
    assert_eq!(source(&shop, 8).await, (Source::Load, false));
    let kinds: Vec<_> = shop.cache.warnings().iter().map(|warning| warning.kind).collect();
    assert!(kinds.iter().any(|kind| kind.starts_with("redis_")), "{kinds:?}");
}

/// Killed by: a step that is not measured, or twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_have_the_steps_of_the_protocol() {
    let fleet = Fleet::start();
    let (first, second) = (fleet.shop().await, fleet.shop().await);
    first.item(1).await.unwrap();
    second.item(1).await.unwrap();
    let steps = |shop: &Shop, operation: &str| {
        let name = "hybridcache_shared_operations_total";
        number(&shop.cache, name, &[operation, "ok"])
    };
    assert_eq!((steps(&second, "read"), steps(&second, "publish")), (1, 0));
    assert_eq!(steps(&first, "publish"), 1);
    assert_eq!(number(&first.cache, "hybridcache_shared_operation_duration_seconds", &["publish"]), 1);
    first.item_entry(1).invalidate().await.unwrap();
    assert_eq!(steps(&first, "invalidate"), 1);
    eventually("the other process hears of it", async || {
        number(&second.cache, "hybridcache_invalidations_received_total", &[]) == 1
    })
    .await;
    assert_eq!(number(&second.cache, "hybridcache_shared_up", &[]), 1);
    assert_eq!(number(&second.cache, "hybridcache_epochs_total", &[]), 1);
    assert_eq!(number(&second.cache, "hybridcache_hits_total", &["item", "shared"]), 1);
}

/// The spans of this thread: name, parent and fields of each.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Recorded>>);

#[derive(Default)]
struct Recorded {
    spans: Vec<(&'static str, Option<u64>, HashMap<&'static str, String>)>,
    entered: Vec<u64>,
}

struct Fields<'a>(&'a mut HashMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target().starts_with("hybridcache")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut recorded = self.0.lock().unwrap();
        let current = recorded.entered.last().copied().filter(|_| span.is_contextual());
        let parent = span.parent().map(Id::into_u64).or(current);
        let mut fields = HashMap::new();
        span.record(&mut Fields(&mut fields));
        recorded.spans.push((span.metadata().name(), parent, fields));
        Id::from_u64(recorded.spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut recorded = self.0.lock().unwrap();
        values.record(&mut Fields(&mut recorded.spans[span.into_u64() as usize - 1].2));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, span: &Id) {
        self.0.lock().unwrap().entered.push(span.into_u64());
    }

    fn exit(&self, span: &Id) {
        let mut recorded = self.0.lock().unwrap();
        if let Some(at) = recorded.entered.iter().rposition(|entered| *entered == span.into_u64()) {
            recorded.entered.remove(at);
        }
    }
}

/// Killed by: other names than those of OpenTelemetry's conventions; a step of a refresh outside of its span; no error where it failed.
#[tokio::test]
async fn each_step_of_a_caller_is_a_span() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    let spans = Spans::default();
    {
        // With one subscriber only, a thread without one could silence the spans for this one.
        static ANOTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Spans::default()));
        LazyLock::force(&ANOTHER);
        let _guard = tracing::subscriber::set_default(spans.clone());
        shop.item(1).await.unwrap();
    }
    let recorded = spans.0.lock().unwrap();
    let shared: Vec<_> = recorded.spans.iter().filter(|(name, ..)| *name == "hybridcache::shared").collect();
    let of = |field: &str, value: &str| {
        let found = shared.iter().find(|(_, _, fields)| fields.get(field).is_some_and(|known| known == value));
        found.unwrap_or_else(|| panic!("no {field}={value} in {shared:?}"))
    };
    let (_, _, read) = of("db.operation.name", "GETRANGE");
    let port = fleet.redis.port().to_string();
    for (field, value) in
        [("otel.kind", "client"), ("db.system.name", "redis"), ("server.address", "127.0.0.1"), ("server.port", &port)]
    {
        assert_eq!(read.get(field).map(String::as_str), Some(value), "{field}");
    }
    assert!(!read.contains_key("error.type") && !read.contains_key("db.stored_procedure.name"));
    assert_eq!(of("db.stored_procedure.name", "publish").2["db.operation.name"], "EVALSHA");
    assert!(recorded.spans.iter().any(|(name, ..)| *name == "hybridcache::load"));
    assert!(recorded.spans.iter().all(|(_, _, fields)| !fields.contains_key("cache.key")), "no text of a key");
}
