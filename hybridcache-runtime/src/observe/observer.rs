//! A user's observer, and what protects the cache from it.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::event::Event;

/// Gets each event of a cache's slow path: [`Builder::observer`](crate::Builder::observer).
///
/// It is called synchronously, on the thread on which the event happens and before the call goes on: it must be quick and must not block.
/// What takes time belongs on a channel. An observer that panics is not called again, which a warning says once. Events of calls that the
/// observer makes itself are not observed.
///
/// See [`Event`] for an example.
pub trait Observer: Send + Sync + 'static {
    /// An event has happened.
    fn event(&self, event: &Event<'_>);
}

/// An observer that is called as long as it has not panicked.
#[derive(Clone)]
pub(crate) struct GuardedObserver {
    observer: Arc<dyn Observer>,
    has_panicked: Arc<AtomicBool>,
}

thread_local! {
    static OBSERVING: Cell<bool> = const { Cell::new(false) };
}

/// What came of calling an observer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Observed {
    Called,
    /// It is out of use, or it observes another event in this thread.
    Skipped,
    /// It has panicked just now, for the first and last time.
    Panicked,
}

impl GuardedObserver {
    pub(crate) fn new(observer: impl Observer) -> Self {
        Self { observer: Arc::new(observer), has_panicked: Arc::default() }
    }

    pub(super) fn observe(&self, event: &Event<'_>) -> Observed {
        if self.has_panicked.load(Ordering::Relaxed) || OBSERVING.get() {
            return Observed::Skipped;
        }
        OBSERVING.set(true);
        let called = catch_unwind(AssertUnwindSafe(|| self.observer.event(event)));
        OBSERVING.set(false);
        match called {
            Ok(()) => Observed::Called,
            // Two threads may panic in it at once: one of them says so.
            Err(_) if self.has_panicked.swap(true, Ordering::Relaxed) => Observed::Skipped,
            Err(_) => Observed::Panicked,
        }
    }
}

impl fmt::Debug for GuardedObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedObserver").field("has_panicked", &self.has_panicked).finish_non_exhaustive()
    }
}
