//! Percentiles.

use std::fmt;
use std::time::Duration;

/// Latencies of one stream in one period.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// Of a call that was never answered: how long it had waited.
    added: Vec<Duration>,
    pub(crate) unanswered: usize,
}

impl Sample {
    pub(crate) fn add(&mut self, added: Duration) {
        self.added.push(added);
    }

    pub(crate) fn add_unanswered(&mut self, waited: Duration) {
        self.added.push(waited);
        self.unanswered += 1;
    }

    pub(crate) fn count(&self) -> usize {
        self.added.len()
    }

    pub(crate) fn figures(&self) -> Option<Figures> {
        let mut sorted = self.added.clone();
        sorted.sort();
        // The nearest rank.
        let rank = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        Some(Figures { p50: rank(50)?, p99: rank(99)?, max: rank(100)? })
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) max: Duration,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {} / {}", Short(self.p50), Short(self.p99), Short(self.max))
    }
}

/// Two digits, about.
pub(crate) struct Short(pub(crate) Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_nanos() as f64 / 1e3;
        match micros {
            ..10.0 => write!(f, "{micros:.1} µs"),
            ..1e3 => write!(f, "{micros:.0} µs"),
            ..1e4 => write!(f, "{:.1} ms", micros / 1e3),
            ..1e6 => write!(f, "{:.0} ms", micros / 1e3),
            _ => write!(f, "{:.1} s", micros / 1e6),
        }
    }
}
