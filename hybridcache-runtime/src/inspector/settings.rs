//! The settings of an inspector: which requests may change the cache, and which values it shows.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use http::request::Parts;
use serde_json::Value;

use crate::cache::HybridCache;

type ActionsIf = Arc<dyn Fn(&Parts) -> bool + Send + Sync>;
type Values = Arc<dyn Fn(&str, Value) -> Option<Value> + Send + Sync>;

/// The page, as a `tower` service: mount it with axum's `Router::nest_service`, or call it with any request. The body of a request is never
/// read.
///
/// See the [module](crate::inspector) for an example.
#[derive(Clone)]
pub struct Inspector {
    pub(super) cache: HybridCache,
    actions_if: Option<ActionsIf>,
    pub(super) values: Option<Values>,
}

impl Inspector {
    /// The page of a cache, read-only.
    pub fn new(cache: &HybridCache) -> Self {
        Self { cache: cache.clone(), actions_if: None, values: None }
    }

    /// Lets requests for which `admits` is true invalidate and expire entries, and shows the buttons for it. A request that changes something
    /// is a `POST` with the header `X-Hybridcache: 1`, which other sites' pages cannot send.
    pub fn actions_if(self, admits: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        Self { actions_if: Some(Arc::new(admits)), ..self }
    }

    /// Shows values: `show` gets a function's name and a value as JSON, and returns what may be shown of it (without a password, say), or
    /// `None`. Only values that go to the shared tier as MessagePack or JSON can be shown. If `show` panics, nothing
    /// is shown.
    pub fn values(self, show: impl Fn(&str, Value) -> Option<Value> + Send + Sync + 'static) -> Self {
        Self { values: Some(Arc::new(show)), ..self }
    }

    pub(super) fn admits(&self, parts: &Parts) -> bool {
        let Some(admits) = &self.actions_if else { return false };
        // Who cannot be judged is not admitted.
        catch_unwind(AssertUnwindSafe(|| admits(parts))).unwrap_or(false)
    }
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector")
            .field("cache", &self.cache)
            .field("has_actions", &self.actions_if.is_some())
            .field("shows_values", &self.values.is_some())
            .finish()
    }
}
