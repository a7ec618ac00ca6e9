//! The options that decide how long one value lives, beside `ttl` and `fresh_for`.

use std::time::Duration;

use crate::entry::lifetimes::{LastPart, Lifetimes, Part};
use crate::entry::value_type::AnyValue;

/// The options. Without any: each value has the lifetimes of the attribute.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Freshness {
    pub(crate) none: Option<NoneTtl>,
    pub(crate) jitter: Option<Part>,
    pub(crate) min_cost: Duration,
    pub(crate) refresh_ahead: Option<RefreshAhead>,
    /// Where this process is among the processes of a fleet, from 0 to 1, at random.
    pub(crate) spread: f64,
    pub(crate) soft_timeout: Option<Duration>,
    /// How long an error is kept, in milliseconds.
    pub(crate) err_ttl: Option<u64>,
}

/// `refresh_ahead`: in the last part of its freshness a hit starts the refresh of an entry.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RefreshAhead {
    /// As long as a few loads take.
    Auto,
    /// In this part.
    Part(Part),
    /// At random, the likelier the nearer the end is: "Optimal Probabilistic Cache Stampede Prevention" (Vattani,
    /// Chierichetti, Lowenstein 2015).
    XFetch,
}

/// `refresh_ahead = auto`: the cost of a load, times this, and the bounds.
const LOADS: u64 = 3;
const SHORTEST: u64 = 50;
const LONGEST_PERCENT: u8 = 20;

/// A hit this many costs before the end starts the refresh in one case of nine million: until then hits need not draw.
const DRAWN_COSTS: f64 = 16.0;

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

    /// The last part of the freshness of an entry that is fresh for `fresh_for` and whose load took `cost`, in milliseconds.
    pub(crate) fn last_part(&self, fresh_for: u64, cost: u64) -> Option<LastPart> {
        let always = |millis| Some(LastPart { millis, draws_by: None });
        match self.refresh_ahead? {
            RefreshAhead::Auto => {
                let lead = cost.saturating_mul(LOADS).max(SHORTEST) as f64 * (0.75 + self.spread / 2.0);
                always((lead as u64).min(Part::Percent(LONGEST_PERCENT).of_millis(fresh_for)))
            }
            RefreshAhead::Part(part) => match part.of_millis(fresh_for) {
                lead if lead < fresh_for => always(lead),
                // The load itself has said that its value is fresh for less.
                _ => always(fresh_for / 2),
            },
            RefreshAhead::XFetch => {
                let cost = cost.max(1) as f64;
                Some(LastPart {
                    millis: (DRAWN_COSTS * cost).ceil().min(fresh_for as f64) as u64,
                    draws_by: Some(cost),
                })
            }
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
