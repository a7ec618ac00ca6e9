//! Where events go.

use std::fmt;
use std::sync::{Arc, Mutex};

use super::counters::Counters;
use super::event::{Event, EventKind, KeyCopy, Keyed};
use super::observer::{GuardedObserver, Observed};
use super::step_counters::StepCounters;
use super::warnings::Warnings;
use crate::primitives::sync::LockExt as _;

/// The events of one cache object.
#[derive(Debug)]
pub(crate) struct Stream {
    namespace: Arc<str>,
    settings: Settings,
    pub(crate) warnings: Warnings,
    pub(crate) steps: StepCounters,
    #[cfg(feature = "inspector")]
    pub(crate) ring: super::ring::Ring,
    #[cfg(feature = "inspector")]
    pub(crate) sampler: super::sampler::Sampler,
    /// The recorder of the crate `metrics` knows what each metric means.
    #[cfg(feature = "metrics")]
    pub(crate) described: std::sync::atomic::AtomicBool,
    deferred: Mutex<Vec<Deferred>>,
}

/// An event that happened under a lock. It is published with the next event.
#[derive(Debug)]
struct Deferred {
    function: Option<Arc<str>>,
    key: KeyCopy,
    kind: EventKind<'static>,
}

/// How many events are deferred at most: a thread that removes more under one lock loses the rest, but for the counters.
const DEFERRED: usize = 1 << 12;

/// What the builder says about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) observer: Option<GuardedObserver>,
    /// Hits in memory are events too.
    pub(crate) observe_hits: bool,
    /// Spans show the text of keys.
    pub(crate) trace_keys: bool,
}

impl Stream {
    pub(crate) fn new(namespace: &str, settings: Settings) -> Self {
        Self {
            namespace: namespace.into(),
            settings,
            warnings: Warnings::default(),
            steps: StepCounters::default(),
            #[cfg(feature = "inspector")]
            ring: Default::default(),
            #[cfg(feature = "inspector")]
            sampler: Default::default(),
            #[cfg(feature = "metrics")]
            described: Default::default(),
            deferred: Mutex::default(),
        }
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether anything but the counters reads events.
    fn is_read(&self) -> bool {
        cfg!(feature = "inspector") || self.settings.observer.is_some()
    }

    /// Hands an event to all that read them, but for the counters. Called outside of all locks: an observer may call the cache.
    fn publish(&self, function: Option<&Arc<str>>, key: Option<&dyn Keyed>, kind: EventKind<'_>) {
        if self.is_read() {
            let deferred = std::mem::take(&mut *self.deferred.lock_unpoisoned());
            for Deferred { function, key, kind } in &deferred {
                self.hand_out(function.as_ref(), Some(key), *kind);
            }
        }
        self.hand_out(function, key, kind);
    }

    fn hand_out(&self, function: Option<&Arc<str>>, key: Option<&dyn Keyed>, kind: EventKind<'_>) {
        match kind {
            EventKind::Warned { kind, message } => {
                self.warnings.note(kind, function.map(|function| &**function), message)
            }
            EventKind::SharedStep { operation, result, took } => self.steps.count(operation, result, took),
            _ => {}
        }
        #[cfg(feature = "inspector")]
        self.ring.keep(function, key, kind);
        let Some(observer) = &self.settings.observer else { return };
        let event = Event { kind, namespace: &self.namespace, function: function.map(|function| &**function), key };
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
        self.stream.publish(self.function.as_ref(), key, kind);
    }

    /// The same under a lock: observers get the event with the next one that is not.
    pub(crate) fn happened_under_lock(&self, key: &dyn Keyed, kind: EventKind<'static>) {
        self.counters.count(&kind);
        if self.stream.is_read() {
            let mut deferred = self.stream.deferred.lock_unpoisoned();
            if deferred.len() < DEFERRED {
                deferred.push(Deferred { function: self.function.clone(), key: KeyCopy::of(key), kind });
            }
        }
    }

    pub(crate) fn function(&self) -> Option<&str> {
        self.function.as_deref()
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
