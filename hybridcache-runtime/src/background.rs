//! A thread of the crate's own with a runtime on it, for what has to go on whether or not a caller's runtime runs.
//!
//! A caller's runtime may run only inside `block_on`, may have ended (a cache in a static, used by test after test), may have
//! its clock paused, or may lack timers. None of that must keep messages from arriving.

use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, dispatcher};

/// The thread. Dropping this ends it and all tasks on it, without waiting for that.
#[derive(Debug)]
pub(crate) struct Background {
    runtime: Handle,
    _end: oneshot::Sender<()>,
}

impl Background {
    /// # Errors
    /// Where the system gives no thread, or no more descriptors.
    pub(crate) fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        let dispatch = scoped_dispatch();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _scope = dispatch.as_ref().map(dispatcher::set_default);
            // Fails when the sender is dropped, which is what it is for. Then the runtime drops its tasks.
            let _: Result<(), _> = runtime.block_on(ended);
        })?;
        Ok(Self { runtime: handle, _end: end })
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }
}

/// A subscriber that was set for this thread only (a test's) hears of the new thread too. One that is set for the process later
/// must not be hidden by "none".
fn scoped_dispatch() -> Option<Dispatch> {
    dispatcher::get_default(|dispatch| (!dispatch.is::<NoSubscriber>()).then(|| dispatch.clone()))
}
