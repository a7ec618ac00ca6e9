//! Errors that are given again for a while (`err_ttl`).
//!
//! A remembered error is an entry in memory, of a type that no function's value has: invalidations and the bound of
//! memory reach it as they reach values, and a hit takes no notice of it. It never takes the place of a value.

use std::any::Any;
use std::sync::Arc;

use crate::cache::fill::Fill;
use crate::cache::{HybridCache, InMemory};
use crate::entry::value_type::Typed;
use crate::entry::{Deadlines, Entry, Meta, State};
use crate::flight::Leader;
use crate::flight::outcome::Outcome;

/// The value of such an entry: how the load ended.
struct RememberedError(Outcome);

/// Remembers how a load failed, unless memory has a value to serve, or the key was invalidated meanwhile.
pub(super) fn remember(cache: &HybridCache, fill: &Fill<'_>, leader: &Leader, outcome: &Outcome) {
    let Some(millis) = fill.plan.freshness.err_ttl else { return };
    let end = cache.clock().now() + millis;
    let mut meta = Meta::new(fill.key, Deadlines { fresh_until: end, expires_at: end }, fill.origin, None);
    meta.weigh(size_of::<RememberedError>());
    let remembered = Box::new(RememberedError(outcome.clone()));
    let Some(entry) = Typed::<RememberedError>::MEMORY.seal(remembered, meta) else { return };
    if fill.origin.seen.is_current() {
        leader.store(|| match cache.look(fill.key) {
            InMemory::Usable(held) if !is_remembered(&held) => {}
            InMemory::Unverified(_) => {}
            InMemory::Usable(_) | InMemory::Nothing => cache.local().memory.insert(entry.clone()),
        });
    }
}

/// How the load ended, if the entry is an error that is still to be given again.
pub(super) fn recall(cache: &HybridCache, entry: &Entry) -> Option<Outcome> {
    let RememberedError(outcome) = (&entry.value as &dyn Any).downcast_ref()?;
    let is_due = entry.meta.unproven_state(cache.clock().now()) == State::Fresh;
    is_due.then(|| outcome.clone())
}

pub(super) fn is_remembered(entry: &Arc<Entry>) -> bool {
    entry.value.is::<RememberedError>()
}
