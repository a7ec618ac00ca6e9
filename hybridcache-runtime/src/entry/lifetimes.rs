//! The durations of the attribute. A value between `fresh_for` and `ttl` is served while it is refreshed, and when a
//! refresh fails: `stale-while-revalidate` and `stale-if-error` of RFC 5861.

use std::time::Duration;

/// How long a value is fresh, and how long it lives. Always `1 ms <= fresh_for <= ttl`.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    fresh_for: u64,
    ttl: u64,
}

/// The cap of every duration: a thousand years, so that no sum of times overflows.
const FOREVER: u64 = 1000 * 366 * 24 * 3600 * 1000;

impl Lifetimes {
    /// From literals that the macro has checked.
    pub const fn from_millis(ttl: u64, fresh_for: u64) -> Self {
        Self { fresh_for, ttl }
    }

    /// From constants: evaluated in a `const` block, so a mistake stops the build.
    ///
    /// # Panics
    /// When a duration is zero or `fresh_for` exceeds `ttl`.
    #[track_caller]
    pub const fn constant(ttl: Duration, fresh_for: Option<Duration>) -> Self {
        assert!(!ttl.is_zero(), "`ttl` must be longer than zero");
        if let Some(fresh_for) = fresh_for {
            assert!(!fresh_for.is_zero(), "`fresh_for` must be longer than zero");
            assert!(
                fresh_for.as_nanos() <= ttl.as_nanos(),
                "`fresh_for` must not be longer than `ttl`: a value cannot be fresh after it is gone"
            );
        }
        Self::computed(ttl, fresh_for)
    }

    /// From values that are known at run time only. Values out of bounds are clamped.
    pub const fn computed(ttl: Duration, fresh_for: Option<Duration>) -> Self {
        let ttl = millis(ttl);
        let fresh_for = match fresh_for {
            Some(fresh_for) if millis(fresh_for) < ttl => millis(fresh_for),
            _ => ttl,
        };
        Self { fresh_for, ttl }
    }

    pub(crate) fn fresh_for(self) -> u64 {
        self.fresh_for
    }

    pub(crate) fn ttl(self) -> u64 {
        self.ttl
    }
}

/// A `timeout` that is a constant.
///
/// # Panics
/// When it is zero.
#[doc(hidden)]
#[track_caller]
pub const fn constant_timeout(timeout: Duration) -> Duration {
    assert!(!timeout.is_zero(), "`timeout` must be longer than zero");
    timeout
}

/// Whole milliseconds, rounded up, from one to [`FOREVER`].
const fn millis(duration: Duration) -> u64 {
    let millis = duration.as_nanos().div_ceil(1_000_000);
    if millis == 0 {
        1
    } else if millis > FOREVER as u128 {
        FOREVER
    } else {
        millis as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_time_lifetimes_are_clamped() {
        let second = Duration::from_secs(1);
        assert_eq!(Lifetimes::computed(second, Some(second * 5)), Lifetimes::from_millis(1000, 1000));
        assert_eq!(Lifetimes::computed(second, None), Lifetimes::from_millis(1000, 1000));
        assert_eq!(Lifetimes::computed(Duration::ZERO, Some(second)), Lifetimes::from_millis(1, 1));
        assert_eq!(Lifetimes::computed(Duration::MAX, None).ttl(), FOREVER);
        assert_eq!(Lifetimes::computed(second, Some(Duration::from_nanos(1))).fresh_for(), 1);
    }
}
