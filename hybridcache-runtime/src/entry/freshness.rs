//! The options that decide how long one value lives, beside `ttl` and `fresh_for`.

use std::time::Duration;

use crate::entry::lifetimes::{Lifetimes, Part};
use crate::entry::value_type::AnyValue;

/// The options. Without any: each value has the lifetimes of the attribute.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Freshness {
    pub(crate) none: Option<NoneTtl>,
    pub(crate) jitter: Option<Part>,
    pub(crate) min_cost: Duration,
}

/// `none_ttl`: the lifetime of absent values. 0: they are not stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoneTtl {
    pub(crate) is_none: fn(&AnyValue) -> bool,
    pub(crate) millis: u64,
}

/// The life of one value, decided once: memory and the shared tier keep it equally long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) lifetimes: Lifetimes,
    /// The load itself has said how long the value is fresh.
    pub(crate) is_amended: bool,
    /// How long the load took.
    pub(crate) took: Duration,
}

impl Life {
    /// Of a value that its callers get, and that is stored nowhere.
    pub(crate) const NONE: Self = Self { lifetimes: Lifetimes::NOTHING, is_amended: false, took: Duration::ZERO };

    pub(crate) fn ttl(&self) -> Duration {
        Duration::from_millis(self.lifetimes.ttl())
    }
}

impl Freshness {
    /// Of a value that may be absent.
    pub(super) fn of_none(&self, value: &AnyValue, lifetimes: Lifetimes) -> Lifetimes {
        match self.none {
            Some(none) if (none.is_none)(value) => lifetimes.within(none.millis),
            _ => lifetimes,
        }
    }

    /// Shortened at random, so that entries that were filled together do not end together.
    pub(super) fn jittered(&self, lifetimes: Lifetimes) -> Lifetimes {
        let Some(jitter) = self.jitter else { return lifetimes };
        let drawn = fastrand::f64();
        // A duration that is too long for this value's own lifetime takes no more than half of it.
        let most = |millis: u64| match jitter.of_millis(millis) {
            most if most < millis => most as f64,
            _ => millis as f64 / 2.0,
        };
        lifetimes.shortened(|millis| (most(millis) * drawn) as u64)
    }
}
