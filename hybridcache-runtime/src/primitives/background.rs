//! A thread of the crate's own with a runtime on it, for what has to go on whether or not a caller's runtime runs.
//!
//! A caller's runtime may run only inside `block_on`, may have ended (a cache in a static, used by test after test), may have
//! its clock paused, or may lack timers. None of that must keep messages from arriving.

use std::convert::Infallible;
use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc;
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, dispatcher};

/// The thread. Dropping this ends it and all tasks on it, without waiting for that: at once, or when nobody holds a
/// [`KeepAlive`].
#[derive(Debug)]
pub(crate) struct Background {
    runtime: Handle,
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "held"))]
    keep_alive: KeepAlive,
}

/// The thread goes on while there is one, for a task that has to be finished.
#[derive(Clone, Debug)]
pub(crate) struct KeepAlive {
    _end: mpsc::Sender<Infallible>,
}

impl Background {
    /// # Errors
    /// Where the system gives no thread, or no more descriptors.
    pub(crate) fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, mut ended) = mpsc::channel(1);
        let dispatch = scoped_dispatch();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _scope = dispatch.as_ref().map(dispatcher::set_default);
            // `None`: there is no sender any more. Then the runtime drops its tasks.
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

/// A subscriber that was set for this thread only (a test's) hears of the new thread too. One that is set for the process later
/// must not be hidden by "none".
fn scoped_dispatch() -> Option<Dispatch> {
    dispatcher::get_default(|dispatch| (!dispatch.is::<NoSubscriber>()).then(|| dispatch.clone()))
}
