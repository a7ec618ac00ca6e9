//! The end of a load: its value is published to the shared tier, stored in memory, and handed to the waiters.

use std::sync::Arc;

use crate::cache::HybridCache;
use crate::cache::encoding::Encoded;
use crate::cache::encoding::Publishing;
use crate::cache::fill::Fill;
use crate::cache::lease::{Lease, SENDING};
use crate::engine::job::LoadJob;
use crate::engine::remembered::remember;
use crate::engine::task::Loaded;
use crate::entry::Fence;
use crate::entry::freshness::Life;
use crate::entry::value_type::AnyValue;
use crate::flight::Leader;
use crate::flight::outcome::Outcome;
use crate::observe::EventKind;
use crate::primitives::clock::Millis;
use crate::shared::Published;
use crate::shared::budget::Budget;

/// Where a loaded value may be stored, with the length of its encoding.
pub(super) enum Stored {
    InBothTiers {
        encoded: usize,
        fence: Fence,
    },
    InMemoryOnly {
        encoded: Option<usize>,
    },
    /// The key was invalidated, or another process has taken the lease, while the value was loaded.
    Nowhere,
}

/// Stores a loaded value in memory and hands it to the callers. `false`: it was not stored, because an invalidation
/// came first.
pub(super) fn store(
    job: &LoadJob,
    fill: &Fill<'_>,
    leader: &Leader,
    now: Millis,
    (value, life): (Box<AnyValue>, Life),
    published: Stored,
) -> bool {
    let (encoded, fence) = match published {
        Stored::InBothTiers { encoded, fence } => (Some(encoded), Some(fence)),
        Stored::InMemoryOnly { encoded } => (encoded, None),
        Stored::Nowhere => (None, None),
    };
    let Some(entry) = fill.entry(now, value, life, encoded, fence) else { return false };
    // Stored before the flight ends, so that a call between the two finds the flight or the entry. `is_current` is
    // checked after publishing: a stamp may have been voided meanwhile.
    let stored = !matches!(published, Stored::Nowhere)
        && fill.origin.seen.is_current()
        && leader.store(|| job.cache.local().memory.insert(entry.clone()));
    job.answered(stored.then_some(&*entry));
    let bytes = entry.meta.value_bytes();
    if stored {
        leader.finish(|_| Outcome::Value(entry));
    } else {
        // The waiters that joined before the load began may have the value. Later ones may have called after the
        // invalidation, so they look again.
        leader.finish_fenced(Outcome::Value(entry));
    }
    if stored {
        fill.key.happened(EventKind::Stored { bytes });
    }
    stored
}

/// Publishes a value to the shared tier, and returns it.
pub(super) async fn publish(
    cache: &HybridCache,
    fill: &Fill<'_>,
    lease: Lease,
    value: Box<AnyValue>,
    life: Life,
    mut budget: Budget,
) -> (Stored, Box<AnyValue>) {
    let publishing = Publishing { token: lease.token(), life };
    let (encoded, value) = lease.hold_while(SENDING, cache.encode(lease.remote(), fill, value, publishing)).await;
    let Some(Encoded { bytes, unpacked: encoded }) = encoded else {
        return (Stored::InMemoryOnly { encoded: None }, value);
    };
    let stored = match lease.publish(bytes, fill.plan.shared_for(&*value, life), &mut budget).await {
        Ok(Published::Stored) => {
            budget.succeeded();
            Stored::InBothTiers { encoded, fence: publishing.token.to_bytes() }
        }
        Ok(Published::Fenced) => Stored::Nowhere,
        Ok(Published::Refused) => {
            fill.key.happened(EventKind::SharedFailed);
            // The tier has logged why.
            Stored::InMemoryOnly { encoded: Some(encoded) }
        }
        Err(error) => {
            cache.redis_failed(fill.key, &error);
            Stored::InMemoryOnly { encoded: Some(encoded) }
        }
    };
    (stored, value)
}

/// Hands an outcome that is not stored to the callers.
pub(super) fn finish(cache: &HybridCache, fill: &Fill<'_>, leader: &Leader, loaded: Loaded) {
    match loaded {
        Loaded::Value(value) | Loaded::NotStored(value) => {
            // Otherwise the value is of another type. Dropping the leader then makes the waiters retry.
            if let Some(entry) = fill.entry(cache.clock().now(), value, Life::NONE, None, None) {
                leader.finish(|_| Outcome::Value(entry));
            }
        }
        Loaded::Error(failure) if fill.plan.freshness.err_ttl.is_some() => {
            // For callers to come, too.
            let outcome = Outcome::Failed(Arc::new(failure(true)));
            remember(cache, fill, leader, &outcome);
            leader.finish(|_| outcome);
        }
        Loaded::Error(failure) => leader.finish(|others| Outcome::Failed(Arc::new(failure(others)))),
        Loaded::Panicked(message) => leader.finish(|_| Outcome::Panicked(message)),
        Loaded::TimedOut => {
            remember(cache, fill, leader, &Outcome::TimedOut);
            leader.finish(|_| Outcome::TimedOut);
        }
    }
}
