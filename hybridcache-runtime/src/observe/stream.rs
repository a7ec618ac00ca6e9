//! Where events go.

use std::fmt;
use std::sync::Arc;

use super::counters::Counters;
use super::event::{Event, EventKind, Keyed};
use super::observer::{GuardedObserver, Observed};
use super::warnings::Warnings;

/// The events of one cache object.
#[derive(Debug)]
pub(crate) struct Stream {
    namespace: Arc<str>,
    settings: Settings,
    pub(crate) warnings: Warnings,
}

/// What the builder says about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) observer: Option<GuardedObserver>,
    /// Hits in memory are events too.
    pub(crate) observe_hits: bool,
}

impl Stream {
    pub(crate) fn new(namespace: &str, settings: Settings) -> Self {
        Self { namespace: namespace.into(), settings, warnings: Warnings::default() }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Hands an event to all that read them, but for the counters. Called outside of all locks: an observer may call the cache.
    fn publish(&self, function: Option<&str>, key: Option<&dyn Keyed>, kind: EventKind<'_>) {
        if let EventKind::Warned { kind, message } = kind {
            self.warnings.note(kind, function, message);
        }
        let Some(observer) = &self.settings.observer else { return };
        let event = Event { kind, namespace: &self.namespace, function, key };
        if observer.observe(&event) == Observed::Panicked {
            tracing::warn!("{OBSERVER_PANICKED}");
            self.warnings.note("observer_panicked", None, OBSERVER_PANICKED);
        }
    }
}

const OBSERVER_PANICKED: &str = "the observer of this cache has panicked and is not called again";

/// What events happen to: a function, or the cache as a whole.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) counters: Counters,
    pub(crate) stream: Arc<Stream>,
    function: Option<Arc<str>>,
}

impl Subject {
    pub(crate) fn of_function(stream: Arc<Stream>, name: Arc<str>) -> Self {
        Self { counters: Counters::default(), stream, function: Some(name) }
    }

    pub(crate) fn of_cache(stream: Arc<Stream>) -> Self {
        Self { counters: Counters::default(), stream, function: None }
    }

    /// Something has happened, to this key if it concerns one. Called once for each event, where it happens, outside of all locks.
    pub(crate) fn happened(&self, key: Option<&dyn Keyed>, kind: EventKind<'_>) {
        self.counters.count(&kind);
        self.stream.publish(self.function.as_deref(), key, kind);
    }

    /// Warns: keeps it for [`HybridCache::warnings`](crate::HybridCache::warnings) and logs it; where no warning is due, as the same was
    /// logged a short while ago, at debug level.
    pub(crate) fn warn(&self, is_due: bool, kind: &'static str, what: &str, error: Option<&dyn fmt::Display>) {
        let (function, shown) = (self.function.as_deref(), error.map(tracing::field::display));
        if is_due {
            tracing::warn!(kind, function, error = shown, "{what}");
        } else {
            tracing::debug!(kind, function, error = shown, "{what}");
        }
        let message = error.map(|error| format!("{what}: {error}"));
        self.happened(None, EventKind::Warned { kind, message: message.as_deref().unwrap_or(what) });
    }
}
