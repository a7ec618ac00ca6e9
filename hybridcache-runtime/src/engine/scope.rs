//! What a call inherits from the task that makes it: a `refresh` or `bypass` around it, and the load that it is nested
//! in.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use crate::entry::amendment::Amendment;
use crate::entry::{Entry, State};
use crate::flight::Attachment;
use crate::function::Function;
use crate::function::call_key::Key;
use crate::primitives::clock::Clock;
use crate::primitives::sync::LockExt as _;

/// Runs a future in which the outermost cached calls load again, whatever is cached, and store the result.
///
/// The error of a failed load is returned, even if an older value is still cached. The scope covers the same task only;
/// cached functions called by the loads are not refreshed. A refresh never joins a load that began before it. If the
/// future is dropped, a load that has begun goes on and its value is stored.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// # async fn user(id: u64) -> u64 { id }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let user = hybridcache::refresh(user(7)).await;
/// # }
/// ```
pub fn refresh<F: Future>(future: F) -> impl Future<Output = F::Output> {
    within(Mode::Refresh, future)
}

/// Runs a future in which the outermost cached calls neither read nor store: they only load. No other caller joins such
/// a load.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// # async fn user(id: u64) -> u64 { id }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let user = hybridcache::bypass(user(7)).await;
/// # }
/// ```
pub fn bypass<F: Future>(future: F) -> impl Future<Output = F::Output> {
    within(Mode::Bypass, future)
}

/// Marks the innermost running load: its value is returned to all its callers and not stored.
///
/// For functions that return `Option<T>` or a plain `T`. Outside of a load, and in tasks that a load has spawned, it
/// does nothing. The same as [`this_load().no_cache()`](crate::ThisLoad::no_cache).
pub fn no_cache() {
    let _ = FRAME.try_with(|frame| frame.amend(|amendment| amendment.no_cache = true));
}

/// Marks the innermost running load as failed, although it returns a value: for loads whose value says that there is none.
#[cfg(feature = "http")]
pub(crate) fn note_failure() {
    let _ = FRAME.try_with(|frame| frame.has_failed.store(true, Relaxed));
}

tokio::task_local! {
    static FRAME: Arc<Frame>;
}

thread_local! {
    /// The mode of the future that this thread is polling. It is not part of the frame, since every hit reads it.
    static MODE: Cell<Mode> = const { Cell::new(Mode::Normal) };
}

/// How the calls of a task treat cached values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Normal,
    /// As `Normal`, for calls whose answer is reported: they must not take the fast path of a hit.
    Explained,
    Refresh,
    Bypass,
}

/// The entry that a load replaces.
pub(crate) struct Previous {
    entry: Arc<Entry>,
    attachment: Attachment,
    clock: Clock,
}

impl Previous {
    pub(crate) fn new(entry: Arc<Entry>, attachment: Attachment, clock: Clock) -> Self {
        Self { entry, attachment, clock }
    }

    /// An invalidation kills the entry in memory, and detaches the flight: the entry may be in the shared tier only.
    fn is_valid(&self) -> bool {
        self.entry.meta.unproven_state(self.clock.now()) != State::Gone && self.attachment.is_attached()
    }
}

/// One running load, and the loads that it is nested in.
pub(crate) struct Frame {
    key: Arc<Key>,
    amendment: Mutex<Amendment>,
    previous: Option<Previous>,
    has_failed: AtomicBool,
    parent: Option<Arc<Frame>>,
}

impl Frame {
    pub(crate) fn new(key: Arc<Key>, parent: Option<Arc<Frame>>, previous: Option<Previous>) -> Arc<Self> {
        Arc::new(Self { key, amendment: Mutex::default(), previous, has_failed: AtomicBool::new(false), parent })
    }

    pub(crate) fn function(&self) -> &Function {
        &self.key.function
    }

    /// The entry that the load replaces, unless it was invalidated meanwhile or has ended.
    pub(crate) fn previous(&self) -> Option<&Arc<Entry>> {
        self.previous.as_ref().filter(|previous| previous.is_valid()).map(|previous| &previous.entry)
    }

    /// Notes what the load says of its own entry.
    pub(crate) fn amend(&self, amend: impl FnOnce(&mut Amendment)) {
        amend(&mut self.amendment.lock_unpoisoned());
    }

    /// What the load has said. It has ended: what a task of its says later is of no effect.
    pub(crate) fn take_amendment(&self) -> Amendment {
        std::mem::take(&mut *self.amendment.lock_unpoisoned())
    }

    /// Whether [`note_failure`] was called.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Relaxed)
    }

    /// Whether this load, or one that it is nested in, loads `key`. Waiting for such a load would be a deadlock.
    pub(crate) fn is_loading(&self, key: &Key) -> bool {
        let mut frame = Some(self);
        while let Some(this) = frame {
            if *this.key == *key {
                return true;
            }
            frame = this.parent.as_deref();
        }
        false
    }
}

/// The mode of a call that is made now.
#[inline]
pub(crate) fn mode() -> Mode {
    MODE.get()
}

/// The innermost load around a call that is made now.
pub(crate) fn frame() -> Option<Arc<Frame>> {
    FRAME.try_with(Arc::clone).ok()
}

/// Runs a load so that [`no_cache`] marks it, and so that an outer `refresh` or `bypass` does not affect the calls that
/// it makes.
pub(crate) fn loading<F: Future>(frame: Arc<Frame>, load: F) -> impl Future<Output = F::Output> {
    FRAME.scope(frame, within(Mode::Normal, load))
}

async fn within<F: Future>(mode: Mode, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        let _outer = Entered::into(mode);
        future.as_mut().poll(context)
    })
    .await
}

/// Sets the mode while it lives, and restores the previous one when it is dropped, also by a panic of the future.
pub(crate) struct Entered {
    outer: Mode,
}

impl Entered {
    fn into(mode: Mode) -> Self {
        Self { outer: MODE.replace(mode) }
    }

    /// Within `refresh` or `bypass`, no call takes the fast path anyway.
    pub(crate) fn explained() -> Self {
        match MODE.get() {
            Mode::Normal => Self::into(Mode::Explained),
            outer => Self { outer },
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        MODE.set(self.outer);
    }
}
