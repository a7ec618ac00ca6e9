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
    pub(crate) fault: Fault,
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
    pub(crate) first_after: Option<Duration>,
    /// All calls that began later had theirs stored. `None`: not even in the last second.
    pub(crate) full_after: Option<Duration>,
    /// Of the calls while all was well.
    pub(crate) healthy: Share,
    /// Of the calls that began later than a second after recovery.
    pub(crate) late: Share,
}

/// How many of so many calls left nothing in Redis.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Share {
    lost: usize,
    all: usize,
}

/// By when Redis must be in full use.
pub(crate) const RECOVERY: Duration = Duration::from_secs(1);

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

    /// How long after the fault's beginning the breaker was first seen open, by round.
    pub(crate) fn openings(&self) -> Vec<Option<Duration>> {
        let first = |round: &Round| {
            let open = round.calls.iter().filter(|call| Period::AwayOpen.holds(call, round));
            open.map(|call| call.began - round.away_from).min()
        };
        self.rounds.iter().map(first).collect()
    }

    /// How many calls that began while Redis was away had been waiting for a while when it was back.
    fn left_waiting(&self, stream: Stream) -> usize {
        const WHILE: Duration = Duration::from_millis(100);
        let left = |round: &Round, call: &Call| {
            call.stream == stream
                && (round.away_from..round.back_from.saturating_sub(WHILE)).contains(&call.began)
                && call.end().is_none_or(|end| end > round.back_from)
        };
        self.rounds.iter().map(|round| round.calls.iter().filter(|call| left(round, call)).count()).sum()
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
        let cold: Vec<_> = round.calls.iter().filter(|call| call.stream == stream).collect();
        let is_lost = |call: &Call| !stored.contains(&call.number);
        let kept = cold.iter().filter(|call| !is_lost(call));
        let first_after = kept.filter_map(|call| call.end()?.checked_sub(round.back_from)).min();
        let lost = cold.iter().filter(|call| is_lost(call));
        let last_lost = lost.map(|call| call.began.saturating_sub(round.back_from)).max().unwrap_or_default();
        let is_full = first_after.is_some() && last_lost + Duration::from_secs(1) < round.end - round.back_from;
        let share = |part: &dyn Fn(&Call) -> bool| Share {
            lost: cold.iter().filter(|call| part(call) && is_lost(call)).count(),
            all: cold.iter().filter(|call| part(call)).count(),
        };
        Some(Self {
            first_after,
            full_after: is_full.then_some(last_lost),
            // The last ones may meet the fault before they are stored.
            healthy: share(&|call| call.end().is_some_and(|end| end + RECOVERY < round.away_from)),
            late: share(&|call| call.began > round.back_from + RECOVERY),
        })
    }
}

impl Share {
    /// Not worse than the other.
    pub(crate) fn is_within(self, other: Self) -> bool {
        self.lost * other.all <= other.lost * self.all
    }
}

impl std::iter::Sum for Share {
    fn sum<I: Iterator<Item = Self>>(shares: I) -> Self {
        shares.fold(Self::default(), |sum, share| Self { lost: sum.lost + share.lost, all: sum.all + share.all })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.lost, self.all)
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
        writeln!(
            f,
            "\n| values in Redis again, after recovery | first, all (by round) | without, before | without, after 1 s |"
        )?;
        writeln!(f, "|---|---|---|---|")?;
        for stream in Stream::ALL {
            let services = self.services(stream);
            if !services.is_empty() {
                let times: Vec<_> = services.iter().map(Service::to_string).collect();
                let healthy: Share = services.iter().map(|service| service.healthy).sum();
                let late: Share = services.iter().map(|service| service.late).sum();
                writeln!(f, "| {stream} | {} | {healthy} | {late} |", times.join("; "))?;
            }
        }
        let count = |name: fn(&Round) -> u64| self.rounds.iter().map(name).collect::<Vec<_>>();
        writeln!(
            f,
            "\nBy round: hot keys loaded again {:?}, entries revalidated {:?}, breaker opened {:?}.\n",
            count(|round| round.hot_loads),
            count(|round| round.stats.revalidated),
            count(|round| round.stats.breaker_opened),
        )?;
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
