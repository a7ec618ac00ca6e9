//! Who was disturbed when.

use super::RECOVERY;
use crate::history::{Counts, Fault, Harm, History, Micros, Process, SECOND, Span};

/// How long processes may disagree about stamps once Redis has lost them.
const DISAGREEMENT: Micros = 11 * SECOND;

/// The disturbances of each process, with the time that recovering takes. Spans are in order, and apart.
pub(super) struct Weather {
    /// Messages may be late or lost.
    deaf: Vec<Vec<Span>>,
    /// Commands may fail, too: late ones do.
    troubled: Vec<Vec<Span>>,
    /// The process was not running.
    stopped: Vec<Vec<Span>>,
    /// Anybody was in trouble, or died.
    rough: Vec<Span>,
    /// The same, or Redis had lost data a while ago.
    uneven: Vec<Span>,
    /// The process went on without Redis, which may be because two cores are few.
    hasty: Vec<Vec<Span>>,
    /// Redis went back to the beginning of the span.
    undone: Vec<Span>,
}

impl Weather {
    pub(super) fn of(history: &History) -> Self {
        let harms = |harms: &[Harm]| {
            let faults: Vec<&Fault> = history.faults.iter().filter(|fault| harms.contains(&fault.what)).collect();
            faults
        };
        let of_each = |harms: &[&Fault], with_stalls: bool, recovery: Micros| -> Vec<Vec<Span>> {
            let of = |process: &Process| {
                let meets = |fault: &&&Fault| fault.place.is_none_or(|place| place == process.place);
                let faults = harms.iter().filter(meets).map(|fault| fault.span);
                let stalls = process.stalls.iter().copied().filter(|_| with_stalls);
                merged(faults.chain(stalls), recovery)
            };
            history.processes.iter().map(of).collect()
        };
        let all = |harms: &[&Fault], after: Micros| -> Vec<Span> {
            harms.iter().map(|fault| Span { end: fault.span.end + after, ..fault.span }).collect()
        };
        let stalls = history.processes.iter().flat_map(|process| process.stalls.iter().copied());
        let rough = all(&harms(&[Harm::Deaf, Harm::Slow, Harm::Stopped, Harm::Killed, Harm::Lost, Harm::Undone]), 0);
        // Loads that are still running in the background when a process ends keep their leases, as if it was killed.
        let ended = history.processes.iter().filter_map(|process| process.ended).min();
        let over = ended.map(|begin| Span { begin, end: Micros::MAX / 2 });
        let rough = merged(rough.into_iter().chain(stalls).chain(over), RECOVERY);
        let lost = all(&harms(&[Harm::Lost, Harm::Undone]), DISAGREEMENT);
        Self {
            deaf: of_each(&harms(&[Harm::Deaf, Harm::Stopped, Harm::Undone]), true, RECOVERY),
            troubled: of_each(&harms(&[Harm::Deaf, Harm::Slow, Harm::Stopped, Harm::Undone]), true, RECOVERY),
            stopped: of_each(&harms(&[Harm::Stopped]), true, 0),
            uneven: merged(rough.iter().copied().chain(lost), 0),
            hasty: history.processes.iter().map(|process| merged(hasty(process).into_iter(), 0)).collect(),
            rough,
            undone: all(&harms(&[Harm::Undone]), 0),
        }
    }

    /// Until when the process may be ignorant of what was said in a span. As long as Redis does not answer it in time it
    /// cannot find out what it has missed.
    pub(super) fn deaf_until(&self, process: usize, span: Span) -> Option<Micros> {
        let end = last(&self.deaf[process], span)?;
        last(&self.troubled[process], Span { begin: end, end })
    }

    /// Until when a process that had trouble in a span may still have it.
    pub(super) fn troubled_until(&self, process: usize, span: Span) -> Option<Micros> {
        last(&self.troubled[process], span)
    }

    /// For how long of a span the process did not run.
    pub(super) fn stopped_in(&self, process: usize, span: Span) -> Micros {
        overlap(&self.stopped[process], span)
    }

    pub(super) fn is_calm(&self, span: Span) -> bool {
        last(&self.rough, span).is_none()
    }

    /// The times between the disturbances of anybody.
    pub(super) fn calms(&self) -> impl Iterator<Item = Span> {
        self.rough.windows(2).map(|pair| Span { begin: pair[0].end, end: pair[1].begin })
    }

    /// Calm enough for what these processes load to be counted.
    pub(super) fn is_even(&self, span: Span, processes: &[usize]) -> bool {
        let is_hasty = |process: &usize| last(&self.hasty[*process], span).is_some();
        last(&self.uneven, span).is_none() && !processes.iter().any(is_hasty)
    }

    /// When Redis came back that has undone what was done in this span.
    pub(super) fn undone_until(&self, span: Span) -> Option<Micros> {
        last(&self.undone, span)
    }
}

/// Where a call to Redis has failed or taken too long, between one count and the next.
fn hasty(process: &Process) -> Vec<Span> {
    let first = Counts { at: process.begin, ..Counts::default() };
    let counts: Vec<&Counts> = [&first].into_iter().chain(&process.counts).collect();
    let grown = counts.windows(2).filter(|pair| pair[1].redis_errors > pair[0].redis_errors);
    grown.map(|pair| Span { begin: pair[0].at.saturating_sub(SECOND), end: pair[1].at + SECOND }).collect()
}

/// Sorted, each with its time of recovery, those that meet made one.
pub(super) fn merged(spans: impl Iterator<Item = Span>, recovery: Micros) -> Vec<Span> {
    let mut spans: Vec<Span> = spans.map(|span| Span { end: span.end + recovery, ..span }).collect();
    spans.sort();
    let mut merged: Vec<Span> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(before) if span.begin <= before.end => before.end = before.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

/// For how much of a span any of the others, which are apart, last.
pub(super) fn overlap(spans: &[Span], span: Span) -> Micros {
    spans.iter().map(|other| other.end.min(span.end).saturating_sub(other.begin.max(span.begin))).sum()
}

/// The end of the last of those that meet a span.
fn last(spans: &[Span], span: Span) -> Option<Micros> {
    let until = spans.partition_point(|other| other.begin <= span.end);
    spans[..until].last().map(|other| other.end).filter(|end| *end >= span.begin)
}
