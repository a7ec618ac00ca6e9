//! The durations of the attribute. A value between `fresh_for` and `ttl` is served while it is refreshed, and when a
//! refresh fails: `stale-while-revalidate` and `stale-if-error` of RFC 5861.

use std::time::Duration;

/// How long a value is fresh, and how long it lives. Always `1 ms <= fresh_for <= ttl`, but for [`Lifetimes::NOTHING`].
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    fresh_for: u64,
    ttl: u64,
    /// `fresh_for` in percent of `ttl`, where the attribute says so: a shorter `ttl` then makes it shorter too.
    share: Option<u8>,
}

/// The cap of every duration: a thousand years, so that no sum of times overflows.
const FOREVER: u64 = 1000 * 366 * 24 * 3600 * 1000;

impl Lifetimes {
    /// From literals that the macro has checked.
    pub const fn from_millis(ttl: u64, fresh_for: u64) -> Self {
        Self { fresh_for, ttl, share: None }
    }

    /// `fresh_for = 80%`
    pub const fn with_share(self, percent: u8) -> Self {
        Self { fresh_for: part_of(self.ttl, percent), share: Some(percent), ..self }
    }

    /// Of a value that is not stored.
    pub(crate) const NOTHING: Self = Self { fresh_for: 0, ttl: 0, share: None };

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
        Self { fresh_for, ttl, share: None }
    }

    /// With a `ttl` of `millis` where that is shorter.
    pub(crate) fn within(self, millis: u64) -> Self {
        let ttl = self.ttl.min(millis);
        match (ttl, self.share) {
            (0, _) => Self::NOTHING,
            (_, Some(percent)) => Self { ttl, ..self }.with_share(percent),
            (_, None) => Self { ttl, fresh_for: self.fresh_for.min(ttl), share: None },
        }
    }

    /// With this `fresh_for`, at most the `ttl`.
    pub(crate) fn fresh_within(self, millis: u64) -> Self {
        Self { fresh_for: millis.max(1).min(self.ttl), share: None, ..self }
    }

    /// Both shortened by `shorten`, each to 1 ms at least.
    pub(crate) fn shortened(self, shorten: impl Fn(u64) -> u64) -> Self {
        let shortened = |millis: u64| millis.saturating_sub(shorten(millis)).max(millis.min(1));
        let ttl = shortened(self.ttl);
        Self { ttl, fresh_for: shortened(self.fresh_for).min(ttl), ..self }
    }

    pub(crate) fn fresh_for(self) -> u64 {
        self.fresh_for
    }

    pub(crate) fn ttl(self) -> u64 {
        self.ttl
    }
}

/// A part of a lifetime: a percentage of it, or a duration.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// From 1 to 99 percent.
    Percent(u8),
    /// Milliseconds.
    Millis(u64),
}

impl Part {
    /// A duration that is known at run time only.
    pub const fn of(duration: Duration) -> Self {
        Self::Millis(rounded(duration))
    }

    /// Of a lifetime of `millis`. May be longer than it.
    pub(crate) fn of_millis(self, millis: u64) -> u64 {
        match self {
            Self::Percent(percent) => part_of(millis, percent),
            Self::Millis(part) => part,
        }
    }
}

/// The last part of an entry's freshness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LastPart {
    /// How long it is, in milliseconds.
    pub(crate) millis: u64,
    /// The cost by which each hit draws whether it starts the refresh. Without one, each hit does.
    pub(crate) draws_by: Option<f64>,
}

/// At least 1 ms.
const fn part_of(millis: u64, percent: u8) -> u64 {
    let part = (millis as u128 * percent as u128 / 100) as u64;
    if part == 0 { 1 } else { part }
}

/// Whole milliseconds, rounded up, from zero to [`FOREVER`].
pub(crate) const fn rounded(duration: Duration) -> u64 {
    if duration.is_zero() { 0 } else { millis(duration) }
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

    /// Killed by: a `fresh_for` that stays longer than the `ttl`; a share of the attribute's `ttl` instead of the shorter one.
    #[test]
    fn a_shorter_ttl_shortens_both() {
        let plain = Lifetimes::from_millis(1000, 400);
        let shares = Lifetimes::from_millis(1000, 1000).with_share(80);
        let both = |lifetimes: Lifetimes| (lifetimes.ttl(), lifetimes.fresh_for());
        assert_eq!((both(plain.within(500)), both(plain.within(100))), ((500, 400), (100, 100)));
        assert_eq!((both(shares), both(shares.within(500))), ((1000, 800), (500, 400)));
        assert_eq!(both(shares.within(5000)), (1000, 800), "never longer");
        assert_eq!((both(plain.within(0)), both(plain.fresh_within(0))), ((0, 0), (1000, 1)));
        assert_eq!(both(plain.fresh_within(5000)), (1000, 1000));
        assert_eq!(both(plain.shortened(|millis| millis / 10)), (900, 360));
        assert_eq!(both(plain.shortened(|_| 500)), (500, 1));
        assert_eq!(both(Lifetimes::NOTHING.shortened(|_| 1)), (0, 0));
    }

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
