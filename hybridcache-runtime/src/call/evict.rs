//! What `#[hybrid_evict(..)]` does after a function that writes.
//!
//! It must not be lost: a write whose eviction does not happen leaves old values for as long as their `ttl`, while an
//! eviction too many costs a load. So everything but an orderly `Err` evicts: also a panic, and a caller who goes away
//! while the function runs, because nobody knows what was written by then.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all, poll_immediate};
use tokio::runtime::Handle;
use tracing::Instrument;

use crate::cache::HybridCache;
use crate::cache::handle::CacheEntry;
use crate::error::Error;
use crate::key::KeyBuf;
use crate::primitives::log_limit::{LogLimit, warn_or_debug};

/// What is to be evicted, gathered before the function's body runs. Dropping it evicts.
#[must_use = "it evicts when it is dropped"]
pub struct Eviction {
    targets: Vec<BoxFuture<'static, ()>>,
    /// Where the body runs: who drops it may be elsewhere.
    runtime: Option<Handle>,
}

impl Eviction {
    /// Of nothing yet.
    #[allow(clippy::new_without_default, reason = "only expansions call it")]
    pub fn new() -> Self {
        Self { targets: Vec::new(), runtime: Handle::try_current().ok() }
    }

    /// One entry.
    pub fn entry(&mut self, entry: impl Evictable) {
        self.push(entry.evict());
    }

    /// All entries that carry a tag.
    pub fn tag(&mut self, cache: &HybridCache, tag: &KeyBuf) {
        let (cache, tag) = (cache.clone(), tag.unescaped());
        self.push(async move { cache.invalidate_tag(&tag).await });
    }

    /// Nothing was written.
    pub fn cancel(mut self) {
        self.targets.clear();
    }

    /// Evicts all at once, and returns when all of it is done or has failed.
    ///
    /// Memory forgets at once; what has to wait for the shared tier does so in a task, so that a caller who goes away, or
    /// does not look for a while, delays nothing.
    pub async fn run(mut self) {
        let mut rest = self.take();
        if poll_immediate(&mut rest).await.is_some() {
            return;
        }
        match Handle::try_current() {
            // A task that panicked has said so, and is no failure of the writer.
            Ok(runtime) => drop(runtime.spawn(rest.in_current_span()).await),
            Err(_) => rest.await,
        }
    }

    fn push(&mut self, told: impl Future<Output = Result<(), Error>> + Send + 'static) {
        self.targets.push(Box::pin(async move {
            // It was counted where it failed.
            if let Err(error) = told.await {
                warn_or_debug!(PENDING, %error, "a write is not evicted everywhere");
            }
        }));
    }

    fn take(&mut self) -> impl Future<Output = ()> + Send + Unpin + use<> {
        join_all(std::mem::take(&mut self.targets)).map(drop)
    }
}

/// Once a second: while Redis is down every write has something to say.
static PENDING: LogLimit = LogLimit::every(Duration::from_secs(1));

impl Drop for Eviction {
    fn drop(&mut self) {
        if self.targets.is_empty() {
            return;
        }
        let mut rest = self.take();
        let runtime = Handle::try_current().ok().or_else(|| self.runtime.take());
        let _entered = runtime.as_ref().map(Handle::enter);
        // Without a runtime, or while it shuts down, tokio's timers panic; and this may be a panic's unwinding.
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

/// The handle of an entry, of whatever type its value is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no entry handle",
    label = "not the entry of a cached function",
    note = "a cached function that is called `.._entry` itself is named by its handle: `.._entry_entry(..)`"
)]
pub trait Evictable {
    /// Invalidates it.
    fn evict(self) -> impl Future<Output = Result<(), Error>> + Send + 'static;
}

impl<R: 'static> Evictable for CacheEntry<R> {
    async fn evict(self) -> Result<(), Error> {
        self.invalidate().await
    }
}

/// What a function returned. A `Result` is told from everything else by its type, as in `shape.rs`.
#[derive(Debug)]
pub struct Written<R>(pub R);

/// Whether to evict after it.
#[derive(Debug)]
pub enum Verdict<V, R> {
    /// What is held meanwhile, and how to return it. Of a `Result` that is the value alone, so that the function's future
    /// is not the less `Send` for an error that is not.
    Evict(V, fn(V) -> R),
    /// To be returned at once: an `Err`.
    Leave(R),
}

impl<T, E> Written<Result<T, E>> {
    /// Evicts but for `Err`.
    pub fn __hc_unless_err(self) -> Verdict<T, Result<T, E>> {
        match self.0 {
            Ok(value) => Verdict::Evict(value, Ok),
            Err(error) => Verdict::Leave(Err(error)),
        }
    }
}

/// All other types, to which the inherent method of the same name does not apply. `None` is no failure: a function that
/// returns what was there before, as `HashMap::insert` does, has written.
pub trait WrittenPlain<R> {
    /// Evicts.
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
