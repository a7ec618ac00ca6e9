//! How one call was answered.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::cache::HybridCache;
use crate::engine::scope::{self, Entered};
use crate::entry::{Entry, State};
use crate::function::call_key::Key;
use crate::observe::Keyed as _;
use crate::primitives::sync::LockExt as _;

/// Runs a future and reports how the first cached call in it was answered.
///
/// The call does what it would do otherwise, and is counted as otherwise. Calls that its load makes are not reported.
/// If the future makes no cached call, [`key`](CallReport::key) is empty and the source is [`Source::Bypassed`].
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// # async fn user(id: u64) -> u64 { id }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (user, report) = hybridcache::explain(user(7)).await;
/// println!("{user} from {:?} in {:?}", report.source(), report.took());
/// # }
/// ```
///
/// **Cancel safety:** that of the future.
pub async fn explain<F: Future>(future: F) -> (F::Output, CallReport) {
    let slot = Arc::new(Slot::default());
    let mut future = pin!(future);
    let output = poll_fn(|context| {
        let _mode = Entered::explained();
        let _slot = Offered::begin(&slot);
        future.as_mut().poll(context)
    })
    .await;
    (output, slot.report())
}

/// How a call was answered: see [`explain`].
#[derive(Clone, Debug)]
pub struct CallReport {
    source: Source,
    is_stale: bool,
    age: Option<Duration>,
    expires_in: Option<Duration>,
    took: Duration,
    function: String,
    key: String,
}

/// Where the value of a call came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// From this process's memory.
    Memory,
    /// From the tier that all processes share.
    Shared,
    /// From a load of this call's own.
    Load,
    /// From a load that was already running in this process.
    Joined,
    /// From a load of this call's own, without a look into the cache: in [`bypass`](crate::bypass()), or within a load of the same key.
    Bypassed,
}

impl CallReport {
    /// Where the value came from. For a call that failed: where it would have come from.
    pub fn source(&self) -> Source {
        self.source
    }

    /// Whether the value was past its `fresh_for`.
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// How long ago the load began that made the value. `None`: there is no value, or it was not stored.
    pub fn age(&self) -> Option<Duration> {
        self.age
    }

    /// How long the value will be kept. `None`: there is no value, or it was not stored.
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }

    /// How long the call took.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// The readable key, as [`PlainEntry::key`](crate::PlainEntry::key) gives it.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The name of the function.
    pub fn function(&self) -> &str {
        &self.function
    }
}

thread_local! {
    /// The slot of the future that this thread is polling.
    static OFFERED: RefCell<Option<Arc<Slot>>> = const { RefCell::new(None) };
}

/// Where the first call leaves its report.
#[derive(Debug, Default)]
struct Slot(Mutex<Option<Report>>);

#[derive(Debug)]
struct Report {
    began: Instant,
    report: CallReport,
    has_ended: bool,
}

impl Slot {
    /// The report, when the future has ended.
    fn report(&self) -> CallReport {
        match self.0.lock_unpoisoned().take() {
            Some(Report { began, mut report, has_ended }) => {
                if !has_ended {
                    report.took = began.elapsed();
                }
                report
            }
            None => CallReport::new(String::new(), String::new()),
        }
    }
}

impl CallReport {
    fn new(function: String, key: String) -> Self {
        let (source, took) = (Source::Bypassed, Duration::ZERO);
        Self { source, is_stale: false, age: None, expires_in: None, took, function, key }
    }
}

/// Offers a slot while it lives.
struct Offered {
    outer: Option<Arc<Slot>>,
}

impl Offered {
    fn begin(slot: &Arc<Slot>) -> Self {
        Self { outer: OFFERED.replace(Some(slot.clone())) }
    }
}

impl Drop for Offered {
    fn drop(&mut self) {
        OFFERED.replace(self.outer.take());
    }
}

/// A call whose answer is reported.
#[derive(Clone, Debug)]
pub(crate) struct Explained {
    slot: Arc<Slot>,
}

impl Explained {
    /// For a call that begins now. `None`: nobody asks, an earlier call is reported, or a load makes this call.
    pub(crate) fn begin(key: &Key) -> Option<Self> {
        let slot = OFFERED.with_borrow(Clone::clone)?;
        if scope::frame().is_some() {
            return None;
        }
        let mut report = slot.0.lock_unpoisoned();
        if report.is_some() {
            return None;
        }
        let call = CallReport::new(key.function.name().to_owned(), key.readable().into_owned());
        *report = Some(Report { began: Instant::now(), report: call, has_ended: false });
        drop(report);
        Some(Self { slot })
    }

    pub(crate) fn source(&self, source: Source) {
        if let Some(Report { report, .. }) = &mut *self.slot.0.lock_unpoisoned() {
            report.source = source;
        }
    }

    /// The call has its answer: this entry, if it is stored or was given to the call by a load.
    pub(crate) fn ended(&self, cache: &HybridCache, entry: Option<&Entry>) {
        let Some(Report { began, report, has_ended }) = &mut *self.slot.0.lock_unpoisoned() else { return };
        if std::mem::replace(has_ended, true) {
            return;
        }
        report.took = began.elapsed();
        let Some(entry) = entry else { return };
        let now = cache.clock().now();
        report.is_stale = entry.meta.unproven_state(now) == State::Stale;
        report.age = Some(entry.meta.age(now));
        report.expires_in = Some(Duration::from_millis(entry.meta.expires_at.saturating_sub(now)));
    }
}
