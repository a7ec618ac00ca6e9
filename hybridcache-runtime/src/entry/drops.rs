//! Where the values of users are dropped. Their `Drop` may block, panic, or call the cache. So it runs while the thread
//! holds no lock of this crate, and never on the thread that reads messages.
//!
//! Memory holds its entries as [`KeptEntry`]. A `KeptEntry` that is dropped while a [`Deferral`] lives drops its entry when the
//! `Deferral` ends.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::Entry;
use crate::primitives::sync::LockExt as _;

/// An entry in memory.
#[derive(Clone, Debug)]
pub(crate) struct KeptEntry {
    /// `None` only during `drop`.
    entry: Option<Arc<Entry>>,
}

impl From<Arc<Entry>> for KeptEntry {
    fn from(entry: Arc<Entry>) -> Self {
        Self { entry: Some(entry) }
    }
}

impl Deref for KeptEntry {
    type Target = Option<Arc<Entry>>;

    #[inline]
    fn deref(&self) -> &Option<Arc<Entry>> {
        &self.entry
    }
}

impl Drop for KeptEntry {
    fn drop(&mut self) {
        let Some(entry) = self.entry.take() else { return };
        if let Some(entry) = THREAD.try_with(|thread| thread.defer(entry)).ok().flatten() {
            drop_caught(entry);
        }
    }
}

/// A panic of a value's `Drop` is reported by the panic hook, and fails no call.
fn drop_caught(entry: Arc<Entry>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(entry)));
}

thread_local! {
    static THREAD: Waiting = const { Waiting { deferrals: Cell::new(0), entries: RefCell::new(Vec::new()) } };
}

/// The entries that a thread drops when its deferrals have ended.
struct Waiting {
    deferrals: Cell<usize>,
    entries: RefCell<Vec<Arc<Entry>>>,
}

impl Waiting {
    /// Defers dropping the entry. Returns it if nothing is deferred at present.
    fn defer(&self, entry: Arc<Entry>) -> Option<Arc<Entry>> {
        if self.deferrals.get() == 0 {
            return Some(entry);
        }
        self.entries.borrow_mut().push(entry);
        None
    }

    fn begin(&self) {
        self.deferrals.set(self.deferrals.get() + 1);
    }

    fn end(&self) {
        self.deferrals.set(self.deferrals.get().saturating_sub(1));
    }

    fn take(&self) -> Vec<Arc<Entry>> {
        if self.deferrals.get() == 1 { std::mem::take(&mut *self.entries.borrow_mut()) } else { Vec::new() }
    }
}

/// Begun before a lock is taken, so that it ends after the lock is released: entries that are removed meanwhile are
/// dropped then.
pub(crate) struct Deferral {
    /// A deferral belongs to its thread.
    _not_send: PhantomData<*const ()>,
}

impl Deferral {
    pub(crate) fn begin() -> Self {
        // This fails while the thread ends. Then nothing is deferred.
        let _ = THREAD.try_with(Waiting::begin);
        Self { _not_send: PhantomData }
    }
}

impl Drop for Deferral {
    fn drop(&mut self) {
        let _ = THREAD.try_with(|thread| {
            // Entries that these drops remove in turn are appended to the list: a recursion could overflow the stack.
            loop {
                let entries = thread.take();
                if entries.is_empty() {
                    break;
                }
                entries.into_iter().for_each(drop_caught);
            }
            thread.end();
        });
    }
}

/// How long the thread waits for more entries before it ends.
const IDLE: Duration = Duration::from_secs(10);

/// A thread that drops values which were removed on a thread that must not drop any.
#[derive(Debug, Default)]
pub(crate) struct Disposal {
    state: Mutex<Backlog>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Backlog {
    entries: Vec<KeptEntry>,
    /// How many entries the thread is dropping now.
    dropping: usize,
    is_running: bool,
}

impl Disposal {
    /// Runs `work`; entries that it removes are dropped on the other thread.
    pub(crate) fn during(self: &Arc<Self>, work: impl FnOnce()) {
        let deferral = Deferral::begin();
        work();
        let entries = THREAD.try_with(Waiting::take).unwrap_or_default();
        if !entries.is_empty() {
            self.hand_over(entries);
        }
        drop(deferral);
    }

    fn hand_over(self: &Arc<Self>, entries: Vec<Arc<Entry>>) {
        let mut state = self.state();
        state.entries.extend(entries.into_iter().map(KeptEntry::from));
        self.arrived.notify_one();
        if state.is_running {
            return;
        }
        let this = self.clone();
        // If no thread can be started, the entries stay until one can, or until the cache is dropped.
        state.is_running =
            thread::Builder::new().name("hybridcache-drops".to_owned()).spawn(move || this.run()).is_ok();
    }

    /// Ends when nothing has arrived for [`IDLE`].
    fn run(&self) {
        loop {
            let entries = self.wait();
            if entries.is_empty() {
                return;
            }
            drop(entries);
        }
    }

    /// Waits for entries. Empty: the thread is not needed any more.
    fn wait(&self) -> Vec<KeptEntry> {
        let mut state = self.state();
        state.dropping = 0;
        let waited = self.arrived.wait_timeout_while(state, IDLE, |state| state.entries.is_empty());
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.dropping = state.entries.len();
        state.is_running = state.dropping > 0;
        std::mem::take(&mut state.entries)
    }

    /// How many entries have not been dropped yet.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        let state = self.state();
        state.entries.len() + state.dropping
    }

    fn state(&self) -> MutexGuard<'_, Backlog> {
        self.state.lock_unpoisoned()
    }
}
