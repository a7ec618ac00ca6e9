//! Where the spans and events of a load belong.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::{self, ThreadId};

use hybridcache::{HybridCache, hybrid_cached};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, Subscriber};
use tracing::{Dispatch, Event, Instrument, Level, Metadata, info_span, instrument};
use tracing_core::span::Current;

use crate::world::{World, pass, secs, settle};

#[hybrid_cached(ttl = 60s, fresh_for = 10s, key = "{id}", cache = world.cache)]
#[instrument(skip_all)]
async fn value(world: &World, id: u64) -> u64 {
    tracing::info!("loading");
    world.load(id).await
}

/// Records in which spans each event of this crate stands, outermost first.
#[derive(Clone, Default)]
struct Recorder(Arc<Recorded>);

#[derive(Default)]
struct Recorded {
    next: AtomicU64,
    spans: Mutex<HashMap<u64, Recording>>,
    entered: Mutex<HashMap<ThreadId, Vec<u64>>>,
    events: Mutex<Vec<String>>,
    /// Which span follows from which, by their names.
    follows: Mutex<Vec<(&'static str, &'static str)>>,
    /// `None`: all levels.
    level: Option<Level>,
}

/// `name=value`
#[derive(Default)]
struct Fields(Vec<String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push(format!("{}={value:?}", field.name()));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push(format!("{}={value}", field.name()));
    }
}

struct Recording {
    fields: Vec<String>,
    metadata: &'static Metadata<'static>,
    parent: Option<u64>,
}

impl Recorder {
    fn at(level: Level) -> Self {
        Self(Arc::new(Recorded { level: Some(level), ..Recorded::default() }))
    }

    /// Records what this thread does.
    fn record(&self) -> DefaultGuard {
        // With one subscriber only, tracing asks the thread that comes to a span first whether anybody is interested in it, and a thread
        // without a subscriber would silence the span for this one. With two it asks both.
        static ANOTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Recorder::default()));
        LazyLock::force(&ANOTHER);
        tracing::subscriber::set_default(self.clone())
    }

    /// The first field of this name.
    fn key_id(&self) -> String {
        let spans = self.0.spans.lock().unwrap();
        let mut fields = spans.values().flat_map(|span| &span.fields);
        let key_id = fields.find_map(|field| field.strip_prefix("cache.key_id=")).unwrap();
        assert!(key_id.len() == 16 && key_id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key_id}");
        format!("cache.key_id={key_id}")
    }

    /// The spans of the cache that were made, with their fields.
    fn made(&self) -> Vec<String> {
        let spans = self.0.spans.lock().unwrap();
        let own = spans.iter().filter(|(_, span)| span.metadata.name().starts_with("hybridcache::"));
        let mut own: Vec<_> = own.collect();
        own.sort_by_key(|(id, _)| **id);
        own.into_iter().map(|(_, span)| format!("{} {}", span.metadata.name(), span.fields.join(" "))).collect()
    }

    fn innermost(&self) -> Option<u64> {
        self.0.entered.lock().unwrap().get(&thread::current().id()).and_then(|entered| entered.last().copied())
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.level.is_none_or(|level| *metadata.level() <= level)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = self.0.next.fetch_add(1, SeqCst) + 1;
        let parent = if span.is_root() { None } else { span.parent().map(Id::into_u64).or_else(|| self.innermost()) };
        let mut fields = Fields::default();
        span.record(&mut fields);
        let fields = fields.0;
        self.0.spans.lock().unwrap().insert(id, Recording { metadata: span.metadata(), parent, fields });
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        self.0.spans.lock().unwrap().get_mut(&span.into_u64()).unwrap().fields.extend(fields.0);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        let spans = self.0.spans.lock().unwrap();
        let name = |id: &Id| spans[&id.into_u64()].metadata.name();
        self.0.follows.lock().unwrap().push((name(span), name(follows)));
    }

    fn event(&self, event: &Event<'_>) {
        if !event.metadata().target().starts_with("engine") {
            return;
        }
        let spans = self.0.spans.lock().unwrap();
        let mut names = Vec::new();
        let mut at = self.innermost();
        while let Some(span) = at.and_then(|id| spans.get(&id)) {
            names.insert(0, span.metadata.name());
            at = span.parent;
        }
        self.0.events.lock().unwrap().push(names.join("/"));
    }

    fn enter(&self, span: &Id) {
        self.0.entered.lock().unwrap().entry(thread::current().id()).or_default().push(span.into_u64());
    }

    fn exit(&self, span: &Id) {
        let mut entered = self.0.entered.lock().unwrap();
        let entered = entered.entry(thread::current().id()).or_default();
        if let Some(at) = entered.iter().rposition(|id| *id == span.into_u64()) {
            entered.remove(at);
        }
    }

    fn current_span(&self) -> Current {
        let spans = self.0.spans.lock().unwrap();
        match self.innermost().and_then(|id| spans.get(&id).map(|span| (id, span.metadata))) {
            Some((id, metadata)) => Current::new(Id::from_u64(id), metadata),
            None => Current::none(),
        }
    }
}

/// Killed by: a load in a task without its caller's span.
#[tokio::test(start_paused = true)]
async fn a_load_belongs_to_the_span_of_its_first_caller() {
    let recorder = Recorder::default();
    let _guard = recorder.record();
    let world = World::new().await;
    world.hold();
    let first = world.call(|world| async move { value(&world, 7).await }.instrument(info_span!("first")));
    world.until_loads(1).await;
    let second = world.call(|world| async move { value(&world, 7).await }.instrument(info_span!("second")));
    settle().await;
    world.let_all_go();
    first.await.unwrap();
    second.await.unwrap();
    assert_eq!(*recorder.0.events.lock().unwrap(), ["first/value/hybridcache::load"]);
}

/// A refresh that a stale hit started: the call does not wait for it, so it is no part of the call's span, and follows from it. Killed by: a
/// parent; nothing that leads to the call.
#[tokio::test(start_paused = true)]
async fn a_refresh_follows_from_the_span_of_the_call_that_started_it() {
    let recorder = Recorder::default();
    let _guard = recorder.record();
    let world = World::new().await;
    value(&world, 7).await;
    pass(secs(10)).await;
    value(&world, 7).instrument(info_span!("stale")).await;
    settle().await;
    let followed: Vec<_> = recorder.0.follows.lock().unwrap().clone();
    assert_eq!(followed, [("hybridcache::refresh", "value")]);
    assert_eq!(
        *recorder.0.events.lock().unwrap(),
        ["value/hybridcache::load", "hybridcache::refresh/hybridcache::load"]
    );
}

/// Killed by: the text of a key that nobody asked to be shown; another name of a field; a result that is not recorded.
#[tokio::test(start_paused = true)]
async fn spans_say_what_they_are_about_and_show_keys_only_where_that_was_asked_for() {
    for shows in [false, true] {
        let recorder = Recorder::default();
        let _guard = recorder.record();
        let world = World::built(HybridCache::builder().namespace("shop").trace_keys(shows)).await;
        value(&world, 7).await;
        pass(secs(10)).await;
        value(&world, 7).await;
        settle().await;
        let function = "engine::load_spans::value";
        let key = if shows { "cache.key=7".to_owned() } else { recorder.key_id() };
        let expected = [
            format!("hybridcache::load cache=shop function={function} {key} result=ok"),
            format!("hybridcache::refresh cache=shop function={function} {key}"),
            format!("hybridcache::load cache=shop function={function} {key} result=ok"),
        ];
        assert_eq!(recorder.made(), expected);
    }
}

/// Killed by: spans of a level that is on by default.
#[tokio::test(start_paused = true)]
async fn no_span_is_made_at_the_default_level() {
    let recorder = Recorder::at(Level::INFO);
    let _guard = recorder.record();
    let world = World::new().await;
    value(&world, 7).instrument(info_span!("first")).await;
    pass(secs(10)).await;
    value(&world, 7).instrument(info_span!("stale")).await;
    settle().await;
    assert_eq!(recorder.made(), Vec::<String>::new());
    assert_eq!(
        *recorder.0.events.lock().unwrap(),
        ["first/value", "stale/value"],
        "what loads log has the call's span"
    );
}
