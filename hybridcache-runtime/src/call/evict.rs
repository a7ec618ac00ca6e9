//! Evictions of `#[hybrid_evict(..)]`, after a function that writes.
//!
//! An eviction must not be lost: without it old values are served for as long as their `ttl`, while an eviction too
//! many costs one load. So every end of the function but an `Err` evicts. That includes a panic, and a caller that is
//! dropped while the function runs: the function may have written something by then.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all, poll_immediate};
use tokio::runtime::Handle;
use tracing::Instrument;

use crate::cache::HybridCache;
use crate::cache::handle::{CacheEntry, PlainEntry};
use crate::error::Error;
use crate::key::KeyBuf;
use crate::primitives::log_limit::LogLimit;

/// The entries and tags to evict, collected before the function's body runs. Dropping it evicts.
#[must_use = "it evicts when it is dropped"]
pub struct Eviction {
    targets: Vec<BoxFuture<'static, ()>>,
    /// The runtime on which the body runs: `Eviction` may be dropped on a thread without one.
    runtime: Option<Handle>,
}

impl Eviction {
    /// An eviction without targets.
    #[allow(clippy::new_without_default, reason = "only expansions call it")]
    pub fn new() -> Self {
        Self { targets: Vec::new(), runtime: Handle::try_current().ok() }
    }

    /// Adds one entry.
    pub fn entry(&mut self, entry: impl Evictable) {
        let cache = entry.cache().clone();
        self.push(cache, entry.evict());
    }

    /// Adds all entries that carry a tag.
    pub fn tag(&mut self, cache: &HybridCache, tag: &KeyBuf) {
        let (own, tag) = (cache.clone(), tag.unescaped());
        self.push(cache.clone(), async move { own.invalidate_tag(&tag).await });
    }

    /// Evicts nothing: the function has written nothing.
    pub fn cancel(mut self) {
        self.targets.clear();
    }

    /// Evicts all targets at the same time, and returns when each has been evicted or has failed.
    ///
    /// Memory is changed at the first poll. Waiting for the shared tier is done in a task: a caller that is dropped, or
    /// not polled for a while, does not delay it.
    pub async fn run(mut self) {
        let mut rest = self.take();
        if poll_immediate(&mut rest).await.is_some() {
            return;
        }
        match Handle::try_current() {
            // A panic in the task was reported by the panic hook. It is no failure of the writing function.
            Ok(runtime) => drop(runtime.spawn(rest.in_current_span()).await),
            Err(_) => rest.await,
        }
    }

    fn push(&mut self, cache: HybridCache, told: impl Future<Output = Result<(), Error>> + Send + 'static) {
        self.targets.push(Box::pin(async move {
            // It was counted where it occurred.
            if let Err(error) = told.await {
                let what = "a write is not evicted everywhere";
                cache.events().warn(PENDING.allow(), "eviction_pending", what, Some(&error));
            }
        }));
    }

    fn take(&mut self) -> impl Future<Output = ()> + Send + Unpin + use<> {
        join_all(std::mem::take(&mut self.targets)).map(drop)
    }
}

/// At most once a second: while Redis is down, every write would log a warning.
static PENDING: LogLimit = LogLimit::every(Duration::from_secs(1));

impl Drop for Eviction {
    fn drop(&mut self) {
        if self.targets.is_empty() {
            return;
        }
        let mut rest = self.take();
        let runtime = Handle::try_current().ok().or_else(|| self.runtime.take());
        let _entered = runtime.as_ref().map(Handle::enter);
        // tokio's timers panic without a runtime, or while it shuts down; and a panic may be unwinding here already.
        let polled = catch_unwind(AssertUnwindSafe(|| (&mut rest).now_or_never()));
        if let (Ok(None), Some(runtime)) = (polled, &runtime) {
            drop(runtime.spawn(rest.in_current_span()));
        }
    }
}

impl fmt::Debug for Eviction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Eviction").field("targets", &self.targets.len()).finish_non_exhaustive()
    }
}

/// The handle of an entry, whatever the type of its value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no entry handle",
    label = "not the entry of a cached function",
    note = "a cached function that is called `.._entry` itself is named by its handle: `.._entry_entry(..)`"
)]
pub trait Evictable {
    /// Its cache.
    fn cache(&self) -> &HybridCache;

    /// Invalidates the entry.
    fn evict(self) -> impl Future<Output = Result<(), Error>> + Send + 'static;
}

impl<R: 'static> Evictable for CacheEntry<R> {
    fn cache(&self) -> &HybridCache {
        PlainEntry::cache(self)
    }

    async fn evict(self) -> Result<(), Error> {
        self.invalidate().await
    }
}

/// The return value of the writing function. Whether it is a `Result` is decided by its type, as in `shape.rs`.
#[derive(Debug)]
pub struct Written<R>(pub R);

/// Whether to evict after the function.
#[derive(Debug)]
pub enum Verdict<V, R> {
    /// Evict. Holds the value that the eviction's future has to keep, and a function that makes the return value of it.
    /// Of a `Result` only the `Ok` value is kept, so that an error that is not `Send` does not make the future not
    /// `Send`.
    Evict(V, fn(V) -> R),
    /// Return at once, without an eviction: an `Err`.
    Leave(R),
}

impl<T, E> Written<Result<T, E>> {
    /// Evicts unless it is an `Err`.
    pub fn __hc_unless_err(self) -> Verdict<T, Result<T, E>> {
        match self.0 {
            Ok(value) => Verdict::Evict(value, Ok),
            Err(error) => Verdict::Leave(Err(error)),
        }
    }
}

/// All types but `Result`, whose inherent method of the same name takes precedence. `None` is no failure: a function
/// that returns the previous value, as `HashMap::insert` does, has written.
pub trait WrittenPlain<R> {
    /// Always evicts.
    fn __hc_unless_err(self) -> Verdict<R, R>;
}

impl<R> WrittenPlain<R> for Written<R> {
    fn __hc_unless_err(self) -> Verdict<R, R> {
        Verdict::Evict(self.0, |value| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Killed by: a warning for each.
    #[test]
    fn many_failures_have_few_warnings() {
        let warned = (0..10_000).filter(|_| PENDING.allow()).count();
        assert!((1..1_000).contains(&warned), "{warned}");
    }
}
