//! What a load says of its own entry while it runs.

use std::time::Duration;

use tokio::time::Instant;

use crate::entry::lifetimes::{Lifetimes, rounded};
use crate::primitives::clock::bounded;

/// What a load has said. Durations count from the moment at which it said them: the load may go on for a while, and a
/// token that its issuer gave for a minute does not live a minute longer for that. Of several, the shortest counts.
#[derive(Debug, Default)]
pub(crate) struct Amendment {
    ends: Option<Instant>,
    stale_from: Option<Instant>,
    pub(crate) no_cache: bool,
}

impl Amendment {
    pub(crate) fn end_after(&mut self, ttl: Duration) {
        shorten(&mut self.ends, ttl);
    }

    pub(crate) fn stale_after(&mut self, fresh_for: Duration) {
        shorten(&mut self.stale_from, fresh_for);
    }

    /// Whether the load itself has said how long its value is fresh.
    pub(crate) fn has_fresh_for(&self) -> bool {
        self.stale_from.is_some()
    }

    /// The attribute's lifetimes as the load has changed them, for a value that is stored now.
    pub(crate) fn apply(&self, lifetimes: Lifetimes) -> Lifetimes {
        let lifetimes = self.ends.map_or(lifetimes, |ends| lifetimes.within(left(ends)));
        self.stale_from
            .filter(|_| lifetimes != Lifetimes::NOTHING)
            .map_or(lifetimes, |stale_from| lifetimes.fresh_within(left(stale_from)))
    }
}

fn shorten(end: &mut Option<Instant>, after: Duration) {
    let new = Instant::now() + bounded(after);
    *end = Some(end.map_or(new, |end| end.min(new)));
}

fn left(until: Instant) -> u64 {
    rounded(until.saturating_duration_since(Instant::now()))
}
