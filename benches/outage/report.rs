//! All rounds together, as tables.

use std::fmt;
use std::time::Duration;

use crate::calls::Stream;
use crate::fault::Fault;
use crate::figures::{Figures, Sample, Short};
use crate::log::Call;
use crate::round::Round;

#[derive(Default)]
pub(crate) struct Report {
    faults: Vec<Faulty>,
}

/// All rounds of one fault.
pub(crate) struct Faulty {
    fault: Fault,
    rounds: Vec<Round>,
}

/// A call belongs to the period in which it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Period {
    Healthy,
    Away,
    /// The part of `Away` in which the breaker was closed.
    AwayClosed,
    /// The other part.
    AwayOpen,
    After,
}

/// When Redis held what was loaded again.
pub(crate) struct Service {
    /// The first value was stored so long after recovery.
    first_after: Option<Duration>,
    /// All calls that began later had theirs stored. `None`: not even in the last second.
    pub(crate) full_after: Option<Duration>,
}

impl Report {
    pub(crate) fn add(&mut self, fault: Fault, round: Round) {
        match self.faults.iter_mut().find(|faulty| faulty.fault == fault) {
            Some(faulty) => faulty.rounds.push(round),
            None => self.faults.push(Faulty { fault, rounds: vec![round] }),
        }
    }

    pub(crate) fn passes(&self) -> bool {
        !self.faults.iter().flat_map(Faulty::bars).any(|bar| bar.is_missed())
    }
}

impl Period {
    const ALL: [Self; 5] = [Self::Healthy, Self::Away, Self::AwayClosed, Self::AwayOpen, Self::After];

    fn holds(self, call: &Call, round: &Round) -> bool {
        let is_away = (round.away_from..round.back_from).contains(&call.began);
        match self {
            Self::Healthy => call.began < round.away_from,
            Self::Away => is_away,
            Self::AwayClosed => is_away && !call.breaker_was_open,
            Self::AwayOpen => is_away && call.breaker_was_open,
            Self::After => call.began >= round.back_from,
        }
    }
}

impl Faulty {
    fn sample(&self, stream: Stream, period: Period) -> Sample {
        let mut sample = Sample::default();
        for round in &self.rounds {
            for call in round.calls.iter().filter(|call| call.stream == stream && period.holds(call, round)) {
                match call.answer {
                    Some(answer) => sample.add(answer.added),
                    None => sample.add_unanswered(round.end.saturating_sub(call.began)),
                }
            }
        }
        sample
    }

    pub(crate) fn figures(&self, stream: Stream, period: Period) -> Option<Figures> {
        self.sample(stream, period).figures()
    }

    /// By round.
    pub(crate) fn services(&self, stream: Stream) -> Vec<Service> {
        self.rounds.iter().filter_map(|round| Service::of(round, stream)).collect()
    }

    /// How many calls that began while Redis was away had no answer when it was back.
    fn left_waiting(&self, stream: Stream) -> usize {
        let left = |round: &&Round, call: &&Call| {
            let ended = call.answer.map(|answer| call.began + answer.took);
            call.stream == stream
                && Period::Away.holds(call, round)
                && ended.is_none_or(|ended| ended > round.back_from)
        };
        self.rounds.iter().map(|round| round.calls.iter().filter(|call| left(&round, call)).count()).sum()
    }

    fn row(&self, stream: Stream, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {stream} |")?;
        for period in Period::ALL {
            let sample = self.sample(stream, period);
            match sample.figures() {
                // The breaker is no concern of theirs.
                _ if stream.is_by_hand() && matches!(period, Period::AwayClosed | Period::AwayOpen) => write!(f, " |")?,
                None => write!(f, " no call |")?,
                Some(figures) => write!(f, " {figures} ({}) |", sample.count())?,
            }
        }
        let never: usize =
            [Period::Away, Period::After].map(|period| self.sample(stream, period).unanswered).iter().sum();
        write!(f, " {} ", self.left_waiting(stream))?;
        if never > 0 {
            write!(f, "({never} for ever) ")?;
        }
        writeln!(f, "|")
    }
}

impl Service {
    fn of(round: &Round, stream: Stream) -> Option<Self> {
        let (_, stored) = round.stored.iter().find(|(of, _)| *of == stream)?;
        let cold = round.calls.iter().filter(|call| call.stream == stream);
        let (kept, lost): (Vec<_>, Vec<_>) = cold.partition(|call| stored.contains(&call.number));
        let end = |call: &Call| call.answer.map(|answer| call.began + answer.took);
        let first_after = kept.iter().filter_map(|call| end(call)?.checked_sub(round.back_from)).min();
        let last_lost = lost.iter().map(|call| call.began.saturating_sub(round.back_from)).max().unwrap_or_default();
        let is_full = last_lost + Duration::from_secs(1) < round.end - round.back_from;
        Some(Self { first_after, full_after: is_full.then_some(last_lost).filter(|_| first_after.is_some()) })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Added latency, p50 / p99 / max (calls): a call's time less its own load's.")?;
        for faulty in &self.faults {
            write!(f, "\n{faulty}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### Redis {}, {} rounds\n", self.fault, self.rounds.len())?;
        writeln!(
            f,
            "| | healthy | {} | breaker closed | breaker open | after it is back | left waiting |",
            self.fault
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        Stream::ALL.into_iter().try_for_each(|stream| self.row(stream, f))?;
        writeln!(f, "\n| values in Redis again, after recovery | first, all; by round |\n|---|---|")?;
        for stream in Stream::ALL {
            let services: Vec<_> = self.services(stream).iter().map(Service::to_string).collect();
            if !services.is_empty() {
                writeln!(f, "| {stream} | {} |", services.join("; "))?;
            }
        }
        let hot_loads: Vec<_> = self.rounds.iter().map(|round| round.hot_loads).collect();
        let count = |name: fn(&Round) -> u64| self.rounds.iter().map(name).collect::<Vec<_>>();
        let errors = count(|round| round.stats.redis_errors);
        writeln!(f, "\nHot keys loaded again, by round: {hot_loads:?}. Redis errors: {errors:?}.\n")?;
        writeln!(f, "| bar | figure | |\n|---|---|---|")?;
        self.bars().iter().try_for_each(|bar| writeln!(f, "{bar}"))
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |after: Option<Duration>| after.map_or("never".to_owned(), |after| Short(after).to_string());
        write!(f, "{}, {}", text(self.first_after), text(self.full_after))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "while healthy",
            Self::Away => "during the fault",
            Self::AwayClosed => "while the breaker is closed",
            Self::AwayOpen => "while the breaker is open",
            Self::After => "after it is back",
        })
    }
}
