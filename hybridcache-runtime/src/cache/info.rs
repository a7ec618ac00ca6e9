//! What is known of one entry.

use std::time::Duration;

use crate::cache::HybridCache;
use crate::entry::plan::Plan;
use crate::entry::{Entry, State};
use crate::observe::Tier;

/// What is known of a cached value: [`PlainEntry::info`](crate::PlainEntry::info).
#[derive(Clone, Debug)]
pub struct EntryInfo {
    age: Duration,
    fresh_for: Duration,
    expires_in: Duration,
    tier: Tier,
    bytes: usize,
    tags: Vec<String>,
}

impl EntryInfo {
    pub(crate) fn new(cache: &HybridCache, plan: &Plan, entry: &Entry, tier: Tier) -> Self {
        Self::of_entry(cache, entry, tier, plan.tags.iter().map(|tag| tag.unescaped()).collect())
    }

    pub(crate) fn of_entry(cache: &HybridCache, entry: &Entry, tier: Tier, tags: Vec<String>) -> Self {
        let (now, meta) = (cache.clock().now(), &entry.meta);
        let remains = |until: u64| Duration::from_millis(until.saturating_sub(now));
        // Expired by hand, it is stale before its time.
        let is_fresh = meta.unproven_state(now) == State::Fresh;
        Self {
            age: meta.age(now),
            fresh_for: if is_fresh { remains(meta.fresh_until()) } else { Duration::ZERO },
            expires_in: remains(meta.expires_at),
            tier,
            bytes: meta.value_bytes(),
            tags,
        }
    }

    /// How long ago the load began that made the value, or the put that stored it.
    pub fn age(&self) -> Duration {
        self.age
    }

    /// How long it remains fresh; zero if it is stale.
    pub fn fresh_for(&self) -> Duration {
        self.fresh_for
    }

    /// How long it is kept at most.
    pub fn expires_in(&self) -> Duration {
        self.expires_in
    }

    /// Where it was found: in memory, if it is there.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// The size of the value: as `weigh` says, else its encoded length, else its size on the stack.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The tags that the function gives it.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }
}
