//! A load that has not begun yet, with its types erased.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tracing::{Instrument, Span};

use crate::engine::scope::{self, Frame};
use crate::entry::value_type::AnyValue;
use crate::flight::outcome::Failure;
use crate::function::call_key::Key;
use crate::primitives::timers;

/// How long a caller waits for somebody else's load where the function has no `timeout`.
pub(crate) const WAIT: Duration = Duration::from_secs(30);

/// Runs at most once, possibly much later than it was made: a caller who waits keeps its own.
pub(crate) struct Work {
    load: BoxFuture<'static, Loaded>,
    parent: Option<Arc<Frame>>,
}

/// What a load gave.
pub(crate) enum Loaded {
    Value(Box<AnyValue>),
    NotStored(Box<AnyValue>),
    /// Makes the failure from whether others have joined.
    Error(Box<dyn FnOnce(bool) -> Failure + Send>),
    Panicked(Arc<str>),
    TimedOut,
}

impl Work {
    pub(crate) fn new(load: impl Future<Output = Loaded> + Send + 'static) -> Self {
        Self { load: Box::pin(load), parent: None }
    }

    /// Remembers for which loads this one runs.
    pub(crate) fn within(self, parent: Option<Arc<Frame>>) -> Self {
        Self { parent, ..self }
    }

    /// Runs the load. It ends by finishing, by panic, or at `timeout`.
    pub(crate) async fn run(self, key: &Arc<Key>, timeout: Option<Duration>, span: Span) -> Loaded {
        let frame = Frame::new(key.clone(), self.parent);
        let caught = AssertUnwindSafe(self.load).catch_unwind();
        let running = scope::loading(frame.clone(), caught).instrument(span);
        let ended = match timeout {
            Some(timeout) => timers::timeout(timeout, running).await,
            None => Ok(running.await),
        };
        match ended {
            Ok(Ok(Loaded::Value(value))) if frame.is_no_cache() => Loaded::NotStored(value),
            Ok(Ok(loaded)) => loaded,
            Ok(Err(panic)) => Loaded::Panicked(message(&*panic)),
            Err(_) => Loaded::TimedOut,
        }
    }
}

/// The message of a panic, with a hint if the load misses a task-local of its caller.
fn message(panic: &(dyn Any + Send)) -> Arc<str> {
    let message = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(message), _) => *message,
        (None, Some(message)) => message.as_str(),
        (None, None) => "the load panicked",
    };
    // tokio: "cannot access a task-local storage value without setting it first", "task-local value not set".
    if !message.contains("task-local") {
        return message.into();
    }
    tracing::warn!(panic = message, "{NO_TASK_LOCALS}");
    format!("{message}: {NO_TASK_LOCALS}").into()
}

const NO_TASK_LOCALS: &str = "a load of a cached function runs in its own task, without the task-locals of its caller: read \
     the value before the call and pass it as an argument";
