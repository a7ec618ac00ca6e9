//! A round in a few lines.

use std::collections::BTreeMap;
use std::fmt;

use crate::checker::Findings;
use crate::history::{Answer, Counts, Harm, History, MILLISECOND, Micros, Told};

pub(crate) struct Summary<'a> {
    history: &'a History,
    findings: &'a Findings,
}

impl<'a> Summary<'a> {
    pub(crate) fn of(history: &'a History, findings: &'a Findings) -> Self {
        Self { history, findings }
    }

    fn counted(&self, count: impl Fn(&Counts) -> u64) -> u64 {
        self.history.processes.iter().filter_map(|process| process.counts.last()).map(count).sum()
    }

    fn told(&self, told: Told) -> usize {
        self.history.changes.iter().filter(|change| change.end.is_some_and(|(_, this)| this == told)).count()
    }

    fn answered(&self, is: impl Fn(Answer) -> bool) -> usize {
        self.history.calls.iter().filter(|call| call.end.is_some_and(|(_, answer)| is(answer))).count()
    }

    fn violations(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        self.findings.violations.iter().for_each(|violation| *counts.entry(violation.promise).or_default() += 1);
        let began = self.history.processes.iter().map(|process| process.begin).min().unwrap_or_default();
        match self.findings.violations.first() {
            None => "none".to_owned(),
            Some(first) => format!("{counts:?}, the first after {} ms", millis(first.span.end.saturating_sub(began))),
        }
    }

    fn faults(&self, harm: Harm) -> usize {
        self.history.faults.iter().filter(|fault| fault.what == harm).count()
    }
}

fn millis(micros: Micros) -> Micros {
    micros / MILLISECOND
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { history, findings } = self;
        writeln!(
            f,
            "  {} calls by {} processes ({} failed, {} timed out, {} panicked), {} loads; changes: {} acknowledged, {} pending, {} unheard",
            history.calls.len(),
            history.processes.len(),
            self.answered(|answer| matches!(answer, Answer::Failed(_))),
            self.answered(|answer| answer == Answer::TimedOut),
            self.answered(|answer| answer == Answer::Panicked),
            history.loads.len(),
            self.told(Told::Acknowledged),
            self.told(Told::Pending),
            self.told(Told::Unheard),
        )?;
        writeln!(
            f,
            "  hits: {} in memory, {} in Redis, {} of them stale; {} joined, {} evicted, {} revalidated, {} fenced off",
            self.counted(|counts| counts.hits_memory),
            self.counted(|counts| counts.hits_redis),
            self.counted(|counts| counts.stale_hits),
            self.counted(|counts| counts.joined),
            self.counted(|counts| counts.evictions),
            self.counted(|counts| counts.revalidated),
            self.counted(|counts| counts.fenced),
        )?;
        writeln!(
            f,
            "  Redis: {} errors, breakers opened {} times, {} degraded loads, {} undecodable",
            self.counted(|counts| counts.redis_errors),
            self.counted(|counts| counts.breaker_opened),
            self.counted(|counts| counts.degraded),
            self.counted(|counts| counts.undecodable),
        )?;
        writeln!(
            f,
            "  faults: {} messages or connections lost, {} delays or refusals, {} stops, {} kills, {} losses of data, {} rollbacks",
            self.faults(Harm::Deaf),
            self.faults(Harm::Slow),
            self.faults(Harm::Stopped),
            self.faults(Harm::Killed),
            self.faults(Harm::Lost),
            self.faults(Harm::Undone),
        )?;
        writeln!(
            f,
            "  oldest value after a change: undisturbed {} ms ({}), strict {} ms ({}), serving {} ms ({})",
            millis(findings.worst_undisturbed),
            findings.late_undisturbed,
            millis(findings.worst_strict),
            findings.late_strict,
            millis(findings.worst_serving),
            findings.late_serving,
        )?;
        write!(
            f,
            "  checked: {} values, {} calls in a calm (longest wait {} ms), {} pairs of loads; longest call {} ms; violations: {}",
            findings.reads,
            findings.calm_calls,
            millis(findings.longest_calm_wait),
            findings.load_claims,
            millis(findings.longest_call),
            self.violations(),
        )
    }
}
