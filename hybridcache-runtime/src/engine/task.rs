//! A load that has not begun yet, with its types erased.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tracing::Instrument;

use crate::engine::scope::{self, Frame, Previous};
use crate::entry::freshness::Life;
use crate::entry::plan::Plan;
use crate::entry::value_type::AnyValue;
use crate::flight::outcome::Failure;
use crate::function::call_key::Key;
use crate::observe::spans::LoadSpan;
use crate::observe::{EventKind, LoadResult};
use crate::primitives::timers;

/// How long a caller waits for another caller's load where the function has no `timeout`.
pub(crate) const WAIT: Duration = Duration::from_secs(30);

/// The body of a load. It runs at most once, possibly long after it was made: a caller that waits for another load
/// keeps its own until then.
pub(crate) struct Work {
    load: BoxFuture<'static, Loaded>,
    parent: Option<Arc<Frame>>,
}

/// The result of a load.
pub(crate) enum Loaded {
    Value(Box<AnyValue>),
    NotStored(Box<AnyValue>),
    /// Makes the failure; the argument is whether other callers have joined.
    Error(Box<dyn FnOnce(bool) -> Failure + Send>),
    Panicked(Arc<str>),
    TimedOut,
}

impl Work {
    pub(crate) fn new(load: impl Future<Output = Loaded> + Send + 'static) -> Self {
        Self { load: Box::pin(load), parent: None }
    }

    /// Records the load that this one is nested in.
    pub(crate) fn within(self, parent: Option<Arc<Frame>>) -> Self {
        Self { parent, ..self }
    }

    /// Runs the load until it returns, panics, or reaches its timeout. Returns its value and how long that lives, or what
    /// is not stored.
    pub(crate) async fn run(
        self,
        key: &Arc<Key>,
        plan: &Plan,
        span: LoadSpan,
        previous: Option<Previous>,
    ) -> Result<(Box<AnyValue>, Life), Loaded> {
        let (frame, began) = (Frame::new(key.clone(), self.parent, previous), Instant::now());
        let caught = AssertUnwindSafe(self.load).catch_unwind();
        let running = scope::loading(frame.clone(), caught).instrument(span.span());
        let ended = match plan.timeout {
            Some(timeout) => timers::timeout(timeout, running).await,
            None => Ok(running.await),
        };
        let loaded = match ended {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(panic)) => Loaded::Panicked(message(&*panic, key)),
            Err(_) => Loaded::TimedOut,
        };
        let took = began.elapsed();
        let loaded = loaded.storable(|value| plan.life(value, &frame.take_amendment(), took));
        let result = if frame.has_failed() { LoadResult::Error } else { Loaded::result(&loaded) };
        span.ended(result);
        key.happened(EventKind::Loaded { result, took });
        loaded
    }
}

impl Loaded {
    fn result(loaded: &Result<(Box<AnyValue>, Life), Self>) -> LoadResult {
        match loaded {
            Ok(_) => LoadResult::Ok,
            Err(Self::Value(_) | Self::NotStored(_)) => LoadResult::NotStored,
            Err(Self::Error(_)) => LoadResult::Error,
            Err(Self::Panicked(_)) => LoadResult::Panic,
            Err(Self::TimedOut) => LoadResult::Timeout,
        }
    }

    /// The value with its life, if it has one: `life` says so. Otherwise what the callers get, and nothing is stored.
    fn storable(self, life: impl FnOnce(&AnyValue) -> Option<Life>) -> Result<(Box<AnyValue>, Life), Self> {
        match self {
            Self::Value(value) => match life(&*value) {
                Some(life) => Ok((value, life)),
                None => Err(Self::NotStored(value)),
            },
            unstored => Err(unstored),
        }
    }
}

/// The message of a panic, with a hint if the load lacks a task-local of its caller.
fn message(panic: &(dyn Any + Send), key: &Key) -> Arc<str> {
    let message = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(message), _) => *message,
        (None, Some(message)) => message.as_str(),
        (None, None) => "the load panicked",
    };
    // tokio: "cannot access a task-local storage value without setting it first", "task-local value not set".
    if !message.contains("task-local") {
        return message.into();
    }
    key.function.events.warn(true, "task_local", NO_TASK_LOCALS, Some(&message));
    format!("{message}: {NO_TASK_LOCALS}").into()
}

const NO_TASK_LOCALS: &str = "a load of a cached function runs in its own task, without the task-locals of its caller: read \
     the value before the call and pass it as an argument";
