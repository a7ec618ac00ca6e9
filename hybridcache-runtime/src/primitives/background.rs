//! A thread of the crate's own with a runtime on it, for tasks that must go on whether or not a caller's runtime runs.
//!
//! A caller's runtime may run only inside `block_on`, may have ended (a cache in a static, used by one test after
//! another), may have its clock paused, or may have no timers. Messages must arrive in all these cases.

use std::convert::Infallible;
use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc;
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, dispatcher};

/// The thread. Dropping this ends the thread and all tasks on it, without waiting: at once, or when the last
/// [`KeepAlive`] is dropped.
#[derive(Debug)]
pub(crate) struct Background {
    runtime: Handle,
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "held"))]
    keep_alive: KeepAlive,
}

/// Keeps the thread running, for a task that has to be finished.
#[derive(Clone, Debug)]
pub(crate) struct KeepAlive {
    _end: mpsc::Sender<Infallible>,
}

impl Background {
    /// # Errors
    /// If the system cannot start a thread, or has no more descriptors.
    pub(crate) fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, mut ended) = mpsc::channel(1);
        let dispatch = scoped_dispatch();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _scope = dispatch.as_ref().map(dispatcher::set_default);
            // `None`: the last sender is gone. Then the runtime drops its tasks.
            let _: Option<Infallible> = runtime.block_on(ended.recv());
        })?;
        Ok(Self { runtime: handle, keep_alive: KeepAlive { _end: end } })
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    #[cfg(feature = "redis")]
    pub(crate) fn keep_alive(&self) -> KeepAlive {
        self.keep_alive.clone()
    }
}

/// The new thread also uses a subscriber that was set for this thread only (by a test). If there is none, the new
/// thread sets no subscriber: an empty one would hide a subscriber that is set for the process later.
fn scoped_dispatch() -> Option<Dispatch> {
    dispatcher::get_default(|dispatch| (!dispatch.is::<NoSubscriber>()).then(|| dispatch.clone()))
}
