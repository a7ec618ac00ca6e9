//! Where the values of users are dropped: their `Drop` may block, panic, or call the cache, so it runs while the thread holds no
//! lock of this crate, and never on the thread that reads messages.
//!
//! What memory gives up is a [`Kept`]. Dropped between [`Deferral::begin`] and the end of that, it waits.

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
pub(crate) struct Kept {
    /// `None` only while this is dropped.
    entry: Option<Arc<Entry>>,
}

impl From<Arc<Entry>> for Kept {
    fn from(entry: Arc<Entry>) -> Self {
        Self { entry: Some(entry) }
    }
}

impl Deref for Kept {
    type Target = Option<Arc<Entry>>;

    #[inline]
    fn deref(&self) -> &Option<Arc<Entry>> {
        &self.entry
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let Some(entry) = self.entry.take() else { return };
        if let Some(entry) = THREAD.try_with(|thread| thread.defer(entry)).ok().flatten() {
            drop_caught(entry);
        }
    }
}

/// A panic of a value's `Drop` is reported by the hook, and fails no call.
fn drop_caught(entry: Arc<Entry>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(entry)));
}

thread_local! {
    static THREAD: Waiting = const { Waiting { deferrals: Cell::new(0), entries: RefCell::new(Vec::new()) } };
}

/// What is dropped on a thread when its deferrals have ended.
struct Waiting {
    deferrals: Cell<usize>,
    entries: RefCell<Vec<Arc<Entry>>>,
}

impl Waiting {
    /// Returns it where nothing is deferred.
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

/// To be begun before a lock is taken, and so to end after it was given back: what is removed meanwhile is dropped then.
pub(crate) struct Deferral {
    /// It is the thread's.
    _not_send: PhantomData<*const ()>,
}

impl Deferral {
    pub(crate) fn begin() -> Self {
        // That fails while the thread ends, and then nothing is deferred.
        let _ = THREAD.try_with(Waiting::begin);
        Self { _not_send: PhantomData }
    }
}

impl Drop for Deferral {
    fn drop(&mut self) {
        let _ = THREAD.try_with(|thread| {
            // What these remove in turn comes behind them, and not into a deeper call.
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

/// How long its thread waits for more.
const IDLE: Duration = Duration::from_secs(10);

/// A thread of its own for values that are removed where none may be dropped.
#[derive(Debug, Default)]
pub(crate) struct Disposal {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct State {
    entries: Vec<Kept>,
    /// How many it drops at present.
    dropping: usize,
    is_running: bool,
}

impl Disposal {
    /// What `work` removes is dropped on another thread.
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
        state.entries.extend(entries.into_iter().map(Kept::from));
        self.arrived.notify_one();
        if state.is_running {
            return;
        }
        let this = self.clone();
        // Without a thread they stay until there is one, or until the cache is dropped.
        state.is_running =
            thread::Builder::new().name("hybridcache-drops".to_owned()).spawn(move || this.run()).is_ok();
    }

    /// Ends when nothing has come for a while.
    fn run(&self) {
        loop {
            let entries = self.wait();
            if entries.is_empty() {
                return;
            }
            drop(entries);
        }
    }

    /// Waits until there are some. None: the thread is not needed any more.
    fn wait(&self) -> Vec<Kept> {
        let mut state = self.state();
        state.dropping = 0;
        let waited = self.arrived.wait_timeout_while(state, IDLE, |state| state.entries.is_empty());
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.dropping = state.entries.len();
        state.is_running = state.dropping > 0;
        std::mem::take(&mut state.entries)
    }

    /// How many have not been dropped yet.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        let state = self.state();
        state.entries.len() + state.dropping
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock_unpoisoned()
    }
}
