//! Where the spans and events of a load belong.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use hybridcache::hybrid_cached;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Subscriber;
use tracing::{Event, Instrument, Metadata, info_span, instrument};
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
}

struct Recording {
    metadata: &'static Metadata<'static>,
    parent: Option<u64>,
}

impl Recorder {
    fn innermost(&self) -> Option<u64> {
        self.0.entered.lock().unwrap().get(&thread::current().id()).and_then(|entered| entered.last().copied())
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = self.0.next.fetch_add(1, SeqCst) + 1;
        let parent = if span.is_root() { None } else { span.parent().map(Id::into_u64).or_else(|| self.innermost()) };
        self.0.spans.lock().unwrap().insert(id, Recording { metadata: span.metadata(), parent });
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

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
    let _guard = tracing::subscriber::set_default(recorder.clone());
    let world = World::new().await;
    world.hold();
    let first = world.call(|world| async move { value(&world, 7).await }.instrument(info_span!("first")));
    world.until_loads(1).await;
    let second = world.call(|world| async move { value(&world, 7).await }.instrument(info_span!("second")));
    settle().await;
    world.let_all_go();
    first.await.unwrap();
    second.await.unwrap();
    assert_eq!(*recorder.0.events.lock().unwrap(), ["first/value"]);
}

/// A refresh that a stale hit started.
#[tokio::test(start_paused = true)]
async fn a_refresh_belongs_to_the_span_of_the_call_that_started_it() {
    let recorder = Recorder::default();
    let _guard = tracing::subscriber::set_default(recorder.clone());
    let world = World::new().await;
    value(&world, 7).await;
    pass(secs(10)).await;
    value(&world, 7).instrument(info_span!("stale")).await;
    settle().await;
    assert_eq!(*recorder.0.events.lock().unwrap(), ["value", "stale/value"]);
}
