//! What the body of a load says of its own entry.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use crate::engine::scope::{self, Frame};

/// The innermost running load, from within it: to say how long its value lives, or that it is not stored.
///
/// In a function that a cached function calls it is that cached function's load. Outside of a load, and in tasks that a
/// load has spawned, it is no load: what is said there has no effect.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// use std::time::Duration;
/// use hybridcache::this_load;
///
/// struct Token { text: String, expires_in: Duration }
///
/// # async fn request(scope: &str) -> Token { Token { text: scope.into(), expires_in: Duration::from_secs(600) } }
/// // #[hybrid_cached(ttl = 1h, key = "token:{scope}")]
/// async fn token(scope: &str) -> String {
///     let token = request(scope).await;
///     this_load().ttl(token.expires_in); // at most the attribute's hour
///     token.text
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() { assert_eq!(token("read").await, "read"); }
/// ```
pub fn this_load() -> ThisLoad {
    ThisLoad { frame: scope::frame() }
}

/// The load that [`this_load`] found.
///
/// Each duration counts from the call that says it. Of several, the shortest counts. What is said has an effect if the
/// load then returns a value that is stored; after the load has ended it has none.
#[derive(Clone)]
pub struct ThisLoad {
    frame: Option<Arc<Frame>>,
}

impl ThisLoad {
    /// The value that this load replaces: fresh or stale, from memory or from Redis. With it a load can ask its source
    /// whether anything has changed; if it returns it, it is stored as fresh.
    ///
    /// `None` if nothing was cached, if what was cached has ended or was invalidated, also while this load runs; and for
    /// a [`bypass`](crate::bypass()). With Redis it is what Redis had when the lease was granted; a load that had to wait for
    /// the lease gets `None`. While Redis cannot be asked it is what memory has. A value of another type than `T`
    /// is `None` too, and a warning is logged once: `T` is that of [`CacheEntry::get`](crate::CacheEntry::get).
    pub fn previous<T: Clone + 'static>(&self) -> Option<T> {
        let frame = self.frame.as_ref()?;
        let value = &frame.previous()?.value;
        let previous = value.downcast_ref::<T>();
        if previous.is_none() && !frame.function().asked_for_another_type.swap(true, Relaxed) {
            frame.function().events.warn(
                true,
                "previous_of_another_type",
                "the value that this load replaces is of another type than `this_load().previous()` asks for",
                Some(&std::any::type_name::<T>()),
            );
        }
        previous.cloned()
    }

    /// The value is gone after this time. The attribute's `ttl` is the upper bound; `fresh_for` becomes shorter where
    /// it would be longer, and as a percentage it is one of this. Zero: the value is not stored.
    pub fn ttl(&self, ttl: Duration) {
        self.with(|frame| frame.amend(|amendment| amendment.end_after(ttl)));
    }

    /// The value is fresh for this time, instead of the attribute's `fresh_for`. It may be longer than that: the upper
    /// bound is the `ttl`. Zero counts as 1 ms: the next hit starts a refresh.
    pub fn fresh_for(&self, fresh_for: Duration) {
        self.with(|frame| frame.amend(|amendment| amendment.stale_after(fresh_for)));
    }

    /// As [`ttl`](Self::ttl), until a moment by this machine's clock. A moment that has passed: the value is not
    /// stored.
    pub fn expires_at(&self, moment: SystemTime) {
        self.ttl(moment.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO));
    }

    /// All callers of this load get its value, and it is not stored. An older value is left to its own lifetime.
    pub fn no_cache(&self) {
        self.with(|frame| frame.amend(|amendment| amendment.no_cache = true));
    }

    fn with(&self, act: impl FnOnce(&Frame)) {
        if let Some(frame) = &self.frame {
            act(frame);
        }
    }
}

impl fmt::Debug for ThisLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThisLoad").field("is_load", &self.frame.is_some()).finish()
    }
}
