//! The server's clock as this process reads it, without a request for each reading.
//!
//! A sample of `TIME` is the server's clock at some moment between sending and receiving. It is taken for the midpoint,
//! which is wrong by at most half the round trip (Cristian, "Probabilistic clock synchronization", 1989). The sample
//! whose error interval is narrowest *now* is kept; an interval widens with age, because clocks drift.

use std::sync::Mutex;
use std::time::Duration;

use crate::primitives::sync::LockExt as _;
use tokio::time::Instant;

/// How far two undisciplined clocks may drift apart: 200 ms in 1000 s.
const DRIFT_PER_SECOND: Duration = Duration::from_micros(200);

/// The server's clock, relative to this process's monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct ServerClock {
    best: Mutex<Option<Sample>>,
}

/// The server's clock at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Since the Unix epoch.
    shown: Duration,
    at: Instant,
    /// The greatest possible error of `shown`, in either direction.
    error: Duration,
}

impl Sample {
    /// A sample from the server's answer, the time of the request and the time at which the answer arrived.
    pub(crate) fn new(shown: Duration, asked: Instant, answered: Instant) -> Self {
        let error = answered.saturating_duration_since(asked) / 2;
        Self { shown, at: asked + error, error }
    }

    fn shown_at(&self, now: Instant) -> Duration {
        // `now` is before the sample only if samples race. The clock then does not advance.
        self.shown + now.saturating_duration_since(self.at)
    }

    fn error_at(&self, now: Instant) -> Duration {
        let age = now.saturating_duration_since(self.at);
        self.error + DRIFT_PER_SECOND.mul_f64(age.as_secs_f64())
    }
}

impl ServerClock {
    /// Takes a sample if its error is smaller than that of the kept one, or if it shows that the server's clock was
    /// set.
    pub(crate) fn learn(&self, sample: Sample) {
        let mut best = self.best.lock_unpoisoned();
        if best.is_none_or(|known| replaces(sample, known)) {
            *best = Some(sample);
        }
    }

    /// Milliseconds since the Unix epoch; `None` before the first sample.
    pub(crate) fn now(&self) -> Option<u64> {
        let best = *self.best.lock_unpoisoned();
        best.map(|sample| sample.shown_at(Instant::now()).as_millis() as u64)
    }
}

fn replaces(new: Sample, known: Sample) -> bool {
    let (error, expected) = (known.error_at(new.at), known.shown_at(new.at));
    let jumped = new.shown.abs_diff(expected) > new.error + error;
    jumped || new.error <= error
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A sample that arrives now, after `round_trip`.
    fn sample(shown: Duration, round_trip: Duration) -> Sample {
        let now = Instant::now();
        Sample::new(shown, now - round_trip, now)
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_goes_on_between_samples() {
        tokio::time::advance(HOUR).await;
        let clock = ServerClock::default();
        assert_eq!(clock.now(), None);
        clock.learn(sample(millis(1_000_000), millis(20)));
        assert_eq!(clock.now(), Some(1_000_010), "the midpoint was half the round trip ago");
        tokio::time::advance(millis(500)).await;
        assert_eq!(clock.now(), Some(1_000_510));
    }

    /// Killed by: keeping every new sample.
    #[tokio::test(start_paused = true)]
    async fn a_slower_sample_does_not_replace_a_faster_one() {
        tokio::time::advance(HOUR).await;
        let clock = ServerClock::default();
        clock.learn(sample(HOUR, millis(2)));
        clock.learn(sample(HOUR - millis(70), millis(200)));
        assert_eq!(clock.now(), Some(3_600_001));
    }

    /// Killed by: a known sample that does not age.
    #[tokio::test(start_paused = true)]
    async fn drift_makes_an_old_sample_worse_than_a_slower_new_one() {
        tokio::time::advance(HOUR).await;
        let clock = ServerClock::default();
        clock.learn(sample(HOUR, millis(2)));
        tokio::time::advance(HOUR).await;
        clock.learn(sample(HOUR * 2 - millis(50), millis(200)));
        assert_eq!(clock.now(), Some(7_200_050));
    }

    /// Killed by: comparing round trips alone.
    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_set_is_believed_at_once() {
        tokio::time::advance(HOUR).await;
        for jumped in [HOUR * 30, HOUR] {
            let clock = ServerClock::default();
            clock.learn(sample(HOUR * 20, millis(2)));
            clock.learn(sample(jumped, millis(300)));
            assert_eq!(clock.now(), Some((jumped + millis(150)).as_millis() as u64));
        }
    }
}
