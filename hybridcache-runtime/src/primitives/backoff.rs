//! Pauses between attempts, which double from one failure to the next.

use std::time::Duration;

/// Exponential backoff, up to a bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The pause after a failure; `earlier` is the number of failures in a row before it.
    pub(crate) fn pause(self, earlier: u32) -> Duration {
        self.first.saturating_mul(2_u32.saturating_pow(earlier)).min(self.longest)
    }

    /// The pause, shortened at random by up to half: a fleet that lost its server does not come back all at the same
    /// moment.
    pub(crate) fn jittered(self, earlier: u32) -> Duration {
        self.pause(earlier).mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Killed by: no bound; an overflow; jitter that prolongs.
    #[test]
    fn pauses_double_up_to_the_longest() {
        let backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(500));
        for (earlier, millis) in [(0, 50), (1, 100), (2, 200), (3, 400), (4, 500), (40, 500), (u32::MAX, 500)] {
            let longest = Duration::from_millis(millis);
            assert_eq!(backoff.pause(earlier), longest, "{earlier}");
            let jittered = backoff.jittered(earlier);
            assert!(jittered >= longest / 2 && jittered <= longest, "{earlier}: {jittered:?}");
        }
    }
}
