//! What a cache says of itself: events, metrics, warnings.

use std::sync::{Arc, Mutex};

use hybridcache::{Event, EventKind, HybridCache, Memory, MetricValue, Observer, bypass, hybrid_cached};

use crate::world::{World, pass, secs, settle};

#[hybrid_cached(ttl = 60s, fresh_for = 10s, key = "{id}", name = "watched", cache = world.cache)]
async fn watched(world: &World, id: u64) -> u64 {
    world.load(id).await
}

/// Writes down each event as text.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Observer for Notes {
    fn event(&self, event: &Event<'_>) {
        let what = match event.kind() {
            EventKind::Hit { tier, stale } => format!("hit {tier} {stale}"),
            EventKind::Loaded { result, .. } => format!("loaded {result}"),
            EventKind::Invalidated { kind } => format!("invalidated {kind}"),
            EventKind::Waited { .. } => "waited".to_owned(),
            EventKind::Stored { bytes } => format!("stored {bytes}"),
            kind => format!("{kind:?}").to_lowercase(),
        };
        let key = event.key().map(|key| format!(" {key}")).unwrap_or_default();
        assert_eq!(event.function().is_some(), event.key().is_some());
        self.0.lock().unwrap().push(what + &key);
    }
}

impl Notes {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

async fn noted(observe_hits: bool) -> (World, Notes) {
    let notes = Notes::default();
    let builder = HybridCache::builder().observer(notes.clone()).observe_hits(observe_hits);
    (World::built(builder).await, notes)
}

/// Killed by: an event for a hit that nobody asked to observe; one that is said twice; another order.
#[tokio::test(start_paused = true)]
async fn an_observer_gets_each_event_of_the_slow_path_once_and_in_order() {
    let (world, notes) = noted(false).await;
    watched(&world, 7).await;
    assert_eq!(notes.take(), ["miss 7", "loading 7", "loaded ok 7", "stored 8 7"]);
    watched(&world, 7).await;
    assert!(notes.take().is_empty(), "a hit is no event");
    pass(secs(10)).await;
    watched(&world, 7).await;
    settle().await;
    assert_eq!(notes.take(), ["refreshing 7", "loading 7", "loaded ok 7", "stored 8 7"]);
    bypass(watched(&world, 7)).await;
    assert_eq!(notes.take(), ["bypassed 7", "loading 7", "loaded ok 7"]);
    watched_entry(&world, 7).invalidate().await.unwrap();
    assert_eq!(notes.take(), ["invalidated entry 7"]);
    world.hold();
    let leader = world.call(|world| async move { watched(&world, 7).await });
    world.until_loads(4).await;
    let joiner = world.call(|world| async move { watched(&world, 7).await });
    settle().await;
    world.let_all_go();
    leader.await.unwrap();
    joiner.await.unwrap();
    assert_eq!(notes.take(), ["miss 7", "loading 7", "joined 7", "loaded ok 7", "stored 8 7", "waited 7"]);
}

/// Killed by: the fast path of a hit in a cache that observes hits.
#[tokio::test(start_paused = true)]
async fn an_observer_gets_hits_where_they_are_observed() {
    let (world, notes) = noted(true).await;
    watched(&world, 7).await;
    notes.take();
    watched(&world, 7).await;
    assert_eq!(notes.take(), ["hit memory false 7"]);
    pass(secs(10)).await;
    world.hold();
    watched(&world, 7).await;
    watched(&world, 7).await;
    settle().await;
    assert_eq!(notes.take(), ["hit memory true 7", "refreshing 7", "hit memory true 7", "loading 7"]);
    let stats = world.cache.stats();
    assert_eq!((stats.hits_memory, stats.stale_hits), (3, 2), "counted once each");
}

/// Killed by: an eviction that no observer hears of; one that is not counted; a gauge that an entry's end leaves as it was.
#[tokio::test(start_paused = true)]
async fn an_eviction_is_observed_and_memory_is_measured_by_function() {
    let notes = Notes::default();
    let world = World::built(HybridCache::builder().memory(Memory::entries(10)).observer(notes.clone())).await;
    for id in 0..30 {
        watched(&world, id).await;
    }
    watched_entry(&world, 29).invalidate().await.unwrap();
    let evictions = notes.take().iter().filter(|note| note.contains("evicted")).count() as u64;
    let cache = &world.cache;
    assert_eq!(evictions, cache.stats().evictions);
    assert_eq!(number(cache, "hybridcache_evictions_total", &["watched", "size"]), evictions);
    assert!(evictions >= 20, "{evictions}");
    let entries = number(cache, "hybridcache_memory_entries", &["watched"]);
    assert_eq!(entries, cache.memory_entries());
    assert!(number(cache, "hybridcache_memory_bytes", &["watched"]) > 200 * entries);
    cache.clear().await.unwrap();
    for id in 0..30 {
        watched_entry(&world, id).invalidate().await.unwrap();
    }
    assert_eq!(number(cache, "hybridcache_memory_entries", &["watched"]), 0);
    assert_eq!(number(cache, "hybridcache_memory_bytes", &["watched"]), 0);
}

struct Panics(Arc<Mutex<u32>>);

impl Observer for Panics {
    fn event(&self, _: &Event<'_>) {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) += 1;
        panic!("this observer always does");
    }
}

/// Killed by: a panic that reaches the caller; calling it again; saying so each time, or never.
#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_is_not_called_again_which_is_said_once() {
    let called = Arc::default();
    let world = World::built(HybridCache::builder().observer(Panics(Arc::clone(&called)))).await;
    for id in 0..5 {
        watched(&world, id).await;
    }
    assert_eq!(*called.lock().unwrap_or_else(|poisoned| poisoned.into_inner()), 1);
    let warnings = world.cache.warnings();
    let warnings: Vec<_> = warnings.iter().map(|warning| (warning.kind, warning.times)).collect();
    assert_eq!(warnings, [("observer_panicked", 1)]);
}

fn number(cache: &HybridCache, name: &str, labels: &[&str]) -> u64 {
    let family = cache.metrics().into_iter().find(|family| family.name == name).unwrap();
    let mut samples = family.samples.iter();
    let is_meant = |sample: &&hybridcache::Sample| {
        labels.iter().all(|label| sample.labels.iter().any(|(_, value)| value == label))
    };
    match &samples.find(is_meant).unwrap().value {
        MetricValue::Number(number) => *number,
        MetricValue::Distribution(distribution) => distribution.count(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_say_what_has_happened_by_function() {
    let world = World::built(HybridCache::builder().namespace("a\"b\\c")).await;
    for id in [7, 7, 8] {
        watched(&world, id).await;
    }
    watched_entry(&world, 7).expire().await.unwrap();
    world.cache.invalidate_tag("none").await.unwrap();
    let cache = &world.cache;
    assert_eq!(number(cache, "hybridcache_hits_total", &["watched", "memory"]), 1);
    assert_eq!(number(cache, "hybridcache_misses_total", &["watched"]), 2);
    assert_eq!(number(cache, "hybridcache_loads_total", &["watched", "ok"]), 2);
    assert_eq!(number(cache, "hybridcache_loads_total", &["watched", "panic"]), 0);
    assert_eq!(number(cache, "hybridcache_load_duration_seconds", &["watched"]), 2);
    assert_eq!(number(cache, "hybridcache_value_bytes", &["watched"]), 2);
    assert_eq!(number(cache, "hybridcache_invalidations_total", &["watched", "expire"]), 1);
    assert_eq!(number(cache, "hybridcache_invalidations_total", &["tag"]), 1);
    let text = cache.metrics().to_openmetrics();
    let line = r#"hybridcache_hits_total{cache="a\"b\\c",function="watched",tier="memory"} 1"#;
    assert!(text.lines().any(|shown| shown == line), "{text}");
}
