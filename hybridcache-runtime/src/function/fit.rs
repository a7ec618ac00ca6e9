//! Whether a function's values fit into the shared tier.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::observe::Subject;
use crate::primitives::clock::Millis;
use crate::primitives::log_limit::{LogLimit, MINUTE};

/// After this many values in a row that are too large, the function's next large values are taken to be too large for a
/// while. Small values are not affected, nor is a function of which a large value has ever fitted: it may have values
/// of all sizes.
const ENOUGH: u32 = 8;
/// The length of that while, in milliseconds.
const PAUSE: u64 = 30_000;

/// The observations of one function.
#[derive(Debug)]
pub(crate) struct Fit {
    /// A value was the same after encoding and decoding.
    proven: AtomicBool,
    /// A value was not: reads would return another value than was stored.
    excluded: AtomicBool,
    /// The latest value was large.
    large: AtomicBool,
    /// A large value has fitted.
    large_fits: AtomicBool,
    /// How many values in a row were too large, not counting small ones.
    too_large: AtomicU32,
    /// Until then no large value is encoded.
    paused_until: AtomicU64,
    /// A warning about values that are too large was logged.
    said: AtomicBool,
    log_limit: LogLimit,
}

impl Fit {
    pub(crate) fn new() -> Self {
        Self {
            proven: AtomicBool::new(false),
            excluded: AtomicBool::new(false),
            large: AtomicBool::new(false),
            large_fits: AtomicBool::new(false),
            too_large: AtomicU32::new(0),
            paused_until: AtomicU64::new(0),
            said: AtomicBool::new(false),
            log_limit: LogLimit::every(MINUTE),
        }
    }

    /// Whether the function is excluded from the shared tier.
    pub(crate) fn is_excluded(&self) -> bool {
        self.excluded.load(Relaxed)
    }

    /// Whether the next value must be decoded again before it is stored: the first one, and each one in debug builds.
    pub(crate) fn asks_for_proof(&self) -> bool {
        cfg!(debug_assertions) || !self.proven.load(Relaxed)
    }

    pub(crate) fn is_proven(&self) {
        self.proven.store(true, Relaxed);
    }

    /// A value was not the same after encoding and decoding. Logged once.
    pub(crate) fn exclude(&self, function: &Subject, why: &dyn fmt::Display) {
        let is_first = !self.excluded.swap(true, Relaxed);
        if is_first {
            let what = "a value of this function would come back from Redis as another one, so the function is cached in memory \
                        only: change how its type is serialized, or say so with `tier = memory`";
            function.warn(true, "value_changed", what, Some(why));
        }
    }

    /// Whether the next value is probably large.
    pub(crate) fn is_large(&self) -> bool {
        self.large.load(Relaxed)
    }

    /// Whether values that are not small are taken to be too large at present.
    pub(crate) fn is_paused(&self, now: Millis) -> bool {
        now < self.paused_until.load(Relaxed)
    }

    pub(crate) fn fitted(&self, is_large: bool) {
        self.large.store(is_large, Relaxed);
        if is_large {
            self.large_fits.store(true, Relaxed);
            self.paused_until.store(0, Relaxed);
        }
    }

    /// A value exceeded `limit` bytes while it was encoded.
    pub(crate) fn did_not_fit(&self, function: &Subject, limit: usize, now: Millis) {
        self.large.store(true, Relaxed);
        if self.too_large.fetch_add(1, Relaxed) + 1 >= ENOUGH && !self.large_fits.load(Relaxed) {
            self.paused_until.store(now + PAUSE, Relaxed);
        }
        self.log_too_large(function, limit);
    }

    /// A value takes more than `limit` bytes. Logged once.
    pub(crate) fn log_too_large(&self, function: &Subject, limit: usize) {
        let is_first = !self.said.swap(true, Relaxed);
        if is_first {
            let what = "a value of this function takes more bytes than `value_limit` allows and stays in memory: raise the limit in \
                        the builder, return less, or say `tier = memory`";
            function.warn(true, "value_too_large", what, Some(&format_args!("the limit is {limit} bytes")));
        }
    }

    /// A value could not be encoded or decoded. Logged once a minute.
    pub(crate) fn log_failure(&self, function: &Subject, kind: &'static str, what: &str, error: &dyn fmt::Display) {
        function.warn(self.log_limit.allow(), kind, what, Some(error));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::observe::Stream;

    /// Killed by: a pause after the first one; one that small values put off; one without an end; one although large
    /// values fit.
    #[test]
    fn after_some_values_in_a_row_that_do_not_fit_no_large_one_is_tried_for_a_while() {
        let fit = Fit::new();
        let function = &Subject::of_cache(Arc::new(Stream::new("test", Default::default())));
        for _ in 1..ENOUGH {
            fit.did_not_fit(function, 1, 10);
            fit.fitted(false);
        }
        assert!(!fit.is_paused(10));
        fit.did_not_fit(function, 1, 10);
        assert!(fit.is_paused(11) && fit.is_paused(9 + PAUSE));
        assert!(!fit.is_paused(10 + PAUSE));
        fit.did_not_fit(function, 1, 10 + PAUSE);
        assert!(fit.is_paused(11 + PAUSE), "one look is enough to see that nothing has changed");
        fit.fitted(true);
        for _ in 0..2 * ENOUGH {
            fit.did_not_fit(function, 1, 20 + PAUSE);
        }
        assert!(!fit.is_paused(20 + PAUSE), "some large ones fit");
    }
}
