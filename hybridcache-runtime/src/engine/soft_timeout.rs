//! A stale hit that waits a little for its refresh.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::{HybridCache, InMemory};
use crate::engine::explain::Explained;
use crate::entry::{Entry, State};
use crate::flight::outcome::Outcome;
use crate::flight::{Joined, Joiner};
use crate::function::call_key::Key;
use crate::primitives::timers::timeout;

/// How long the calls of a function wait for the refresh of a stale value.
pub(crate) struct Softly {
    pub(super) cache: HybridCache,
    pub(super) key: Arc<Key>,
    pub(super) explained: Option<Explained>,
    pub(super) at_most: Duration,
}

impl Softly {
    /// The outcome; where it is a stale value that is being refreshed, that of the refresh if it ends in time.
    pub(super) async fn refreshed(self, outcome: Outcome) -> Outcome {
        let outcome = self.refreshed_in_time(outcome).await;
        if let (Some(explained), Outcome::Value(entry)) = (&self.explained, &outcome) {
            explained.ended(&self.cache, Some(entry));
        }
        outcome
    }

    async fn refreshed_in_time(&self, outcome: Outcome) -> Outcome {
        let Some(stale) = self.stale(&outcome) else { return outcome };
        match self.cache.local().flights.join(&self.key) {
            Some(refresh) => value_or(stale, refresh, self.at_most).await,
            // It has ended already, or none was started.
            None => match self.cache.look(&self.key) {
                InMemory::Usable(entry) if is_of_its_type(&entry, &stale) => Outcome::Value(entry),
                InMemory::Usable(_) | InMemory::Unverified(_) | InMemory::Nothing => outcome,
            },
        }
    }

    fn stale(&self, outcome: &Outcome) -> Option<Arc<Entry>> {
        let Outcome::Value(entry) = outcome else { return None };
        (entry.meta.unproven_state(self.cache.clock().now()) == State::Stale).then(|| entry.clone())
    }
}

/// The value of the refresh, or the stale one if it takes longer or fails.
pub(super) async fn value_or(stale: Arc<Entry>, mut refresh: Joiner, at_most: Duration) -> Outcome {
    // A caller that drives the flight inline may stop polling it.
    if let Some(future) = refresh.detach() {
        tokio::spawn(future);
    }
    match timeout(at_most, &mut refresh).await {
        Ok(Joined::Outcome(Outcome::Value(entry))) if is_of_its_type(&entry, &stale) => Outcome::Value(entry),
        Ok(_) | Err(_) => Outcome::Value(stale),
    }
}

/// Functions that share a name can have values of different types.
fn is_of_its_type(entry: &Entry, stale: &Entry) -> bool {
    entry.value.type_id() == stale.value.type_id()
}
