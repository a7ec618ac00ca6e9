//! The latest events of the slow path, from which the life of a key can be read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::event::{EventKind, KeyCopy, Keyed};
use crate::primitives::sync::LockExt as _;

/// How many events are kept.
const KEPT: usize = 4_096;

/// An event that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) at: SystemTime,
    pub(crate) function: Option<Arc<str>>,
    pub(crate) key: Option<KeyCopy>,
    pub(crate) what: String,
}

#[derive(Debug, Default)]
pub(crate) struct Ring {
    events: Mutex<VecDeque<Kept>>,
}

impl Ring {
    /// Steps of the shared tier are not kept: they would crowd out the rest.
    pub(super) fn keep(&self, function: Option<&Arc<str>>, key: Option<&dyn Keyed>, kind: EventKind<'_>) {
        if matches!(kind, EventKind::SharedStep { .. } | EventKind::Warned { .. }) {
            return;
        }
        let what = said(kind);
        let kept = Kept { at: SystemTime::now(), function: function.cloned(), key: key.map(KeyCopy::of), what };
        let mut events = self.events.lock_unpoisoned();
        if events.len() == KEPT {
            events.pop_front();
        }
        events.push_back(kept);
    }

    /// The events that `is_meant` accepts, the latest first.
    pub(crate) fn latest(&self, most: usize, is_meant: impl Fn(&Kept) -> bool) -> Vec<Kept> {
        let events = self.events.lock_unpoisoned();
        events.iter().rev().filter(|kept| is_meant(kept)).take(most).cloned().collect()
    }
}

fn said(kind: EventKind<'_>) -> String {
    match kind {
        EventKind::Hit { tier, stale } => format!("{} hit in {}", if stale { "stale" } else { "fresh" }, tier.place()),
        EventKind::Miss => "miss".to_owned(),
        EventKind::Joined => "joined a load".to_owned(),
        EventKind::Bypassed => "bypassed the cache".to_owned(),
        EventKind::Waited { took } => format!("waited {took:.1?}"),
        EventKind::Refreshing => "refresh begins".to_owned(),
        EventKind::Loading => "load begins".to_owned(),
        EventKind::Loaded { result, took } => format!("load ended: {result}, {took:.1?}"),
        EventKind::Stored { bytes } => format!("stored, {bytes} bytes"),
        EventKind::Fenced => "not stored: an invalidation came first".to_owned(),
        EventKind::Degraded => "load without a lease".to_owned(),
        EventKind::Revalidated => "unchanged in the shared tier".to_owned(),
        EventKind::Undecodable => "the entry cannot be read".to_owned(),
        EventKind::Unsendable { reason } => format!("kept in memory only: {reason}"),
        EventKind::OpenedWithOldKey => "opened with an older key".to_owned(),
        EventKind::SharedFailed => "the shared tier failed".to_owned(),
        EventKind::Evicted { cause } => format!("evicted: {cause}"),
        EventKind::Invalidated { kind } => format!("invalidated here: {kind}"),
        EventKind::InvalidationReceived => "invalidated by another process".to_owned(),
        EventKind::EpochBegan => "a new stream of messages".to_owned(),
        EventKind::SharedStep { operation, result, .. } => format!("{operation}: {result}"),
        EventKind::Warned { kind, .. } => format!("warning: {kind}"),
    }
}
