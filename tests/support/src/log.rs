//! What the crate logs.

use std::sync::{Arc, LazyLock, Mutex};

use tracing::field::{Field, Visit};

/// What the crate logs on this thread, and on the tasks of a runtime that it drives, while `work` runs.
pub fn log_of(work: impl FnOnce()) -> String {
    // While there is one subscriber only, tracing asks the thread that comes to an event first whether anybody is interested in it:
    // a thread without a subscriber would silence it for this one. With two it asks both.
    static ANOTHER: LazyLock<tracing::Dispatch> = LazyLock::new(|| tracing::Dispatch::new(Log::default()));
    LazyLock::force(&ANOTHER);
    let log = Log::default();
    tracing::dispatcher::with_default(&tracing::Dispatch::new(log.clone()), work);
    let text = log.text.lock().expect("no event panics");
    text.clone()
}

/// What was logged.
#[derive(Clone, Default)]
struct Log {
    text: Arc<Mutex<String>>,
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("hybridcache")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Fields<'a>(&'a mut String);
        impl Visit for Fields<'_> {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!("{field}={value:?} "));
            }
        }
        let mut text = self.text.lock().expect("no event panics");
        text.push_str(event.metadata().level().as_str());
        text.push(' ');
        event.record(&mut Fields(&mut text));
        text.push('\n');
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
