//! Whether a history is one that the cache promises. Pure: it sees records, and neither clock nor network.
//!
//! | promise | what is a violation | where |
//! |---|---|---|
//! | I6 | a value whose load began before a change that this very process made, whatever it was told, in a call that began after the change | `reads.rs` |
//! | I2, undisturbed | one whose load began before an acknowledged change of another process, in a call that began more than [`MESSAGE`] after it, where the reader was not [deaf](weather) in between | |
//! | I2, `Outage::Strict` | the same in a call that began more than [`STRICT`] after it, however deaf the reader was | |
//! | I2, `Outage::Serve` | the same once the reader can hear again and Redis answers it in time: [`RECOVERY`] after the faults' end | |
//! | I10 | a change that was told to be pending, whose outcome nobody waited for, or that Redis has undone, counts as acknowledged once its process was out of trouble for [`RECOVERY`]; that of a process that died before counts never | |
//! | I9 | a value whose load, or put, ended more than its `ttl` before the call began | |
//! | I7 | a value that is not what its load or put gave, or another key's | |
//! | | a `refresh` or a `bypass` that gives a load from before the call | |
//! | I4 | a call without an answer in a process that lived; one that took longer than twice its timeout; in a calm, one that waited for more than [`WAIT`] while nobody loaded its key | `answers.rs` |
//! | I8 | an error that no load gave; in a calm, a change that is not acknowledged: service must be back | |
//! | I1 | in a calm, a load that begins while another one of the key is running, with no change in between | `loads.rs` |
//! | I5 | in a calm, a load that begins before the value of the one before it is stale, with no change in between | |
//! | outcomes | a process whose calls and outcomes of calls (hits, misses, joined and bypassed calls) are not as many | `answers.rs` |
//!
//! What does not count: a mere `expire` (what is older may be served stale); a value that was put while, or after, the
//! change was made; changes of a process that was killed before it was told the outcome. I3 and I12 are I6 and I2 for
//! loads that end late, and for tags, functions and the namespace. I11 is looked at in Redis itself, not here.

mod answers;
mod loads;
mod reads;
#[cfg(test)]
mod tests;
mod weather;

use std::collections::BTreeMap;
use std::fmt::Write;

use self::weather::Weather;
use crate::history::{History, Key, MILLISECOND, Micros, SECOND, Span};

/// How late a message may be, on a busy machine, behind a delay of the network.
pub(crate) const MESSAGE: Micros = 2 * SECOND;

/// How long after the end of a fault full service takes to be back: two attempts to connect.
pub(crate) const RECOVERY: Micros = 3 * SECOND;

/// Three seconds, as `Outage::Strict` promises, and what a busy machine adds.
pub(crate) const STRICT: Micros = 3500 * MILLISECOND;

/// How long a call may take in a calm beside the loads of its key.
pub(crate) const WAIT: Micros = SECOND;

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) promise: &'static str,
    pub(crate) key: Option<Key>,
    pub(crate) process: usize,
    pub(crate) span: Span,
    pub(crate) what: String,
}

/// What was checked, to see that it was not nothing, and the worst that was found within bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    pub(crate) violations: Vec<Violation>,
    /// Calls that gave a value.
    pub(crate) reads: u64,
    /// Those of them, within bounds, that were older than a change: by readers that nothing disturbed, by strict ones and by
    /// others that something did.
    pub(crate) late_undisturbed: u64,
    pub(crate) late_strict: u64,
    pub(crate) late_serving: u64,
    /// Calls that were held against the bound of a calm.
    pub(crate) calm_calls: u64,
    /// Pairs of loads.
    pub(crate) load_claims: u64,
    pub(crate) worst_undisturbed: Micros,
    pub(crate) worst_strict: Micros,
    pub(crate) worst_serving: Micros,
    pub(crate) longest_call: Micros,
    /// In a calm, beside loads.
    pub(crate) longest_calm_wait: Micros,
}

pub(crate) fn check(history: &History) -> Findings {
    let weather = Weather::of(history);
    let mut findings = Findings::default();
    reads::check(history, &weather, &mut findings);
    answers::check(history, &weather, &mut findings);
    loads::check(history, &weather, &mut findings);
    findings.violations.sort_by_key(|violation| violation.span.end);
    findings
}

/// The numbers of what belongs to each key.
fn by_key<'a, T: 'a>(all: impl IntoIterator<Item = &'a T>, key: impl Fn(&T) -> Key) -> BTreeMap<Key, Vec<&'a T>> {
    let mut keyed: BTreeMap<Key, Vec<&T>> = BTreeMap::new();
    for one in all {
        keyed.entry(key(one)).or_default().push(one);
    }
    keyed
}

/// What happened to a violation's key around it, in order, times in milliseconds before its end.
pub(crate) fn tell(history: &History, violation: &Violation) -> String {
    let Violation { key, process, span, .. } = violation;
    let around = Span { begin: span.begin.saturating_sub(3 * SECOND), end: span.end + 100 * MILLISECOND };
    let mut lines: Vec<(Micros, String)> = Vec::new();
    let ago = |at: Micros| (at as i64 - span.end as i64) as f64 / 1000.0;
    let mut tell = |begin: Micros, end: Option<Micros>, what: String| {
        if (Span { begin, end: end.unwrap_or(begin) }).meets(around) {
            let end = end.map_or("-".to_owned(), |end| format!("{:.1}", ago(end)));
            lines.push((begin, format!("{:>10.1} .. {end:>9}  {what}", ago(begin))));
        }
    };
    for fault in &history.faults {
        tell(fault.span.begin, Some(fault.span.end), format!("FAULT {:?} at place {:?}", fault.what, fault.place));
    }
    let concerns = |this: Key| Some(this) == *key;
    for load in history.loads.iter().filter(|load| concerns(load.key)) {
        let what =
            format!("load {} by {} ({:?}): {:?}", load.number, load.process, load.how, load.end.map(|end| end.1));
        tell(load.begin, load.end.map(|end| end.0), what);
    }
    for change in history.changes.iter().filter(|change| key.is_some_and(|key| change.change.covers(key))) {
        let written = change.written.iter().find(|(key, _)| concerns(*key)).map(|(_, version)| *version);
        let told = change.end.map(|end| end.1);
        let what = format!("{:?} by {}, version {written:?}: {told:?}", change.change, change.process);
        tell(change.begin, change.end.map(|end| end.0), what);
    }
    for call in history.calls.iter().filter(|call| call.process == *process && concerns(call.key)) {
        let what = format!("call by {} ({:?}): {:?}", call.process, call.how, call.end.map(|end| end.1));
        tell(call.begin, call.end.map(|end| end.0), what);
    }
    lines.sort();
    let mut told = format!("{violation:?}\n");
    let place = &history.processes[*process];
    let _ = writeln!(
        told,
        "  process {process}: place {}, strict: {}, killed: {:?}",
        place.place,
        place.is_strict,
        place.killed.map(ago)
    );
    let skipped = lines.len().saturating_sub(120);
    if skipped > 0 {
        let _ = writeln!(told, "  ({skipped} earlier lines)");
    }
    for (_, line) in &lines[skipped..] {
        let _ = writeln!(told, "  {line}");
    }
    told
}
