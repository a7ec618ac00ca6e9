//! The bars, and whether they are met.
//!
//! | what | bar |
//! |---|---|
//! | hot keys, during the fault and after it | p50 and p99 at most twice what they are anyway, and 1 µs more; no call later than the slowest one anyway plus the latest sleep |
//! | cold keys while the breaker is closed | every call at most 60 ms beyond its load |
//! | the breaker | opens in each round, unless Redis answers at once, be it with a refusal |
//! | cold keys while it is open | p99 and every call at most 1 ms beyond their load |
//! | service | each value loaded later than one second after recovery is in Redis |
//!
//! "Anyway" is the larger of the healthy time before and of the control, a cache without Redis at the same time: none of
//! the machine's own pauses are the crate's. A bar in absolute terms that is missed by no more than a control's own figure
//! of the same period is met "but for the machine": while callers wait for Redis at all the control is the sleep (a
//! deadline is one), else the load without Redis. So is the last one where values are lost as often while all is
//! well. The figures are printed.

use std::fmt;
use std::time::Duration;

use crate::calls::Stream;
use crate::figures::{Figures, Short};
use crate::report::{Faulty, Period, RECOVERY, Service, Share};

const CLOSED: Duration = Duration::from_millis(60);
const OPEN: Duration = Duration::from_millis(1);

/// Below this a difference of two hits is none.
const GRAIN: Duration = Duration::from_micros(1);

pub(crate) struct Bar {
    what: String,
    figure: String,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    PassButForTheMachine,
    Fail,
}

impl Bar {
    pub(crate) fn is_missed(&self) -> bool {
        self.verdict == Verdict::Fail
    }
}

impl Faulty {
    pub(crate) fn bars(&self) -> Vec<Bar> {
        let mut bars = Vec::new();
        for stream in [Stream::Hot, Stream::Stale] {
            for period in [Period::Away, Period::After] {
                bars.extend(self.hot_bar(stream, period));
            }
        }
        bars.extend(self.cold_bar(Period::AwayClosed, "max", CLOSED, |figures| figures.max));
        bars.extend(self.opening_bar());
        bars.extend(self.cold_bar(Period::AwayOpen, "p99", OPEN, |figures| figures.p99));
        bars.extend(self.cold_bar(Period::AwayOpen, "max", OPEN, |figures| figures.max));
        bars.extend(self.cold_bar(Period::After, "max", CLOSED, |figures| figures.max));
        bars.push(self.service_bar());
        bars
    }

    fn hot_bar(&self, stream: Stream, period: Period) -> Option<Bar> {
        let measured = self.figures(stream, period)?;
        let (healthy, control) = (self.figures(stream, Period::Healthy)?, self.figures(Stream::MemoryOnlyHot, period)?);
        let latest_sleep = self.figures(Stream::Sleep, period)?.max;
        let met =
            |figure: fn(&Figures) -> Duration| figure(&measured) <= 2 * figure(&healthy).max(figure(&control)) + GRAIN;
        let is_max_met = measured.max <= healthy.max.max(control.max) + latest_sleep;
        let is_met = met(|figures| figures.p50) && met(|figures| figures.p99) && is_max_met;
        Some(Bar {
            what: format!("{stream}: unchanged {period}"),
            figure: format!("{measured}; healthy {healthy}; control {control}"),
            verdict: if is_met { Verdict::Pass } else { Verdict::Fail },
        })
    }

    fn cold_bar(&self, period: Period, name: &str, bar: Duration, figure: fn(&Figures) -> Duration) -> Option<Bar> {
        let measured = figure(&self.figures(Stream::Cold, period)?);
        let control = if period == Period::AwayOpen { Stream::MemoryOnlyCold } else { Stream::Sleep };
        let control = self.figures(control, period).map(|figures| figure(&figures)).unwrap_or_default();
        let verdict = match measured {
            _ if measured <= bar => Verdict::Pass,
            _ if measured.saturating_sub(control) <= bar => Verdict::PassButForTheMachine,
            _ => Verdict::Fail,
        };
        Some(Bar {
            what: format!("{}: {name} at most {} {period}", Stream::Cold, Short(bar)),
            figure: format!("{}; control {}", Short(measured), Short(control)),
            verdict,
        })
    }

    fn opening_bar(&self) -> Option<Bar> {
        let openings = self.openings();
        let text = |after: &Option<Duration>| after.map_or("never".to_owned(), |after| Short(after).to_string());
        (!self.fault.is_answered()).then(|| Bar {
            what: "the breaker opens, after".to_owned(),
            figure: openings.iter().map(text).collect::<Vec<_>>().join("; "),
            verdict: if openings.iter().all(Option::is_some) { Verdict::Pass } else { Verdict::Fail },
        })
    }

    fn service_bar(&self) -> Bar {
        let services = self.services(Stream::Cold);
        let in_time = |after: Option<Duration>| after.is_some_and(|after| after <= RECOVERY);
        let healthy: Share = services.iter().map(|service| service.healthy).sum();
        let late: Share = services.iter().map(|service| service.late).sum();
        let verdict = if services.iter().all(|service| in_time(service.full_after)) {
            Verdict::Pass
        } else if services.iter().all(|service| in_time(service.first_after)) && late.is_within(healthy) {
            Verdict::PassButForTheMachine
        } else {
            Verdict::Fail
        };
        let times: Vec<_> = services.iter().map(Service::to_string).collect();
        Bar {
            what: format!("full service at most {} after recovery", Short(RECOVERY)),
            figure: format!("first, all: {}", times.join("; ")),
            verdict,
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Pass => "PASS",
            Verdict::PassButForTheMachine => "PASS but for the machine",
            Verdict::Fail => "**FAIL**",
        };
        write!(f, "| {} | {} | {verdict} |", self.what, self.figure)
    }
}
