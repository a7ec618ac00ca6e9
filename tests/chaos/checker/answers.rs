//! How calls and changes end: at all, in time, and with no error of the cache's own.

use std::collections::{BTreeMap, HashMap};

use super::weather::{Weather, merged, overlap};
use super::{Findings, Violation, WAIT, by_key};
use crate::history::{
    Answer, Call, Changed, Counts, Function, History, How, Key, Load, LoadEnd, MILLISECOND, Micros, SECOND, Span, Told,
};

/// The longest load of a function without a timeout.
const LONGEST_LOAD: Micros = 5 * SECOND;

/// How long a call without a timeout waits for somebody else's load.
const PATIENCE: Micros = 30 * SECOND;

/// What a busy machine adds to the end of a call.
const SLACK: Micros = 1500 * MILLISECOND;

/// How long a load that has ended may go on being joined, and how late its end may be written down.
const ENDING: Micros = SECOND;

pub(super) fn check(history: &History, weather: &Weather, findings: &mut Findings) {
    let violations = &mut findings.violations;
    for (process, ended) in history.processes.iter().enumerate() {
        if ended.ended.is_none() && ended.killed.is_none() {
            let span = Span { begin: ended.begin, end: ended.begin };
            let what = "the process did not come to an end".to_owned();
            violations.push(Violation { promise: "I4", key: None, process, span, what });
        }
    }
    for process in 0..history.processes.len() {
        violations.extend(check_recovery(history, weather, process));
        violations.extend(check_outcomes(history, process));
    }
    for change in &history.changes {
        violations.extend(check_change(history, weather, change));
    }
    let loads: HashMap<(usize, u64), &Load> =
        history.loads.iter().map(|load| ((load.process, load.number), load)).collect();
    let by_process = by_key(&history.loads, |load| load.key);
    let loading = loading(history);
    for call in &history.calls {
        let Some((end, answer)) = call.end else {
            if history.processes[call.process].killed.is_none() {
                violations.push(violation("I4", call, call.begin, "no answer".to_owned()));
            }
            continue;
        };
        let of_key = by_process.get(&call.key).map_or(&[][..], Vec::as_slice);
        if let Some(what) = wrong(call, end, answer, &loads, of_key) {
            violations.push(violation("I8", call, end, what));
        }
        let span = Span { begin: call.begin, end };
        let took = span.length().saturating_sub(weather.stopped_in(call.process, span));
        findings.longest_call = findings.longest_call.max(took);
        if took > longest(call.key.function) {
            violations.push(violation("I4", call, end, format!("took {} ms", took / MILLISECOND)));
        }
        if weather.is_calm(span) && answer != Answer::Cancelled {
            let busy = loading.get(&call.key).map_or(0, |spans| overlap(spans, span));
            let waited = span.length() - busy;
            findings.calm_calls += 1;
            findings.longest_calm_wait = findings.longest_calm_wait.max(waited);
            if waited > WAIT {
                let what = format!("waited {} ms, in a calm, while nobody loaded", waited / MILLISECOND);
                violations.push(violation("I4", call, end, what));
            }
        }
    }
}

/// Waiting for somebody, then loading for oneself.
fn longest(function: Function) -> Micros {
    match function.timeout() {
        Some(timeout) => 2 * timeout + SLACK,
        None => PATIENCE + LONGEST_LOAD + SLACK,
    }
}

/// When each key was being loaded, by anybody.
fn loading(history: &History) -> BTreeMap<Key, Vec<Span>> {
    let span = |load: &&Load| Span { begin: load.begin, end: load.end.map_or(load.begin, |(end, _)| end) };
    let by_key = by_key(&history.loads, |load| load.key);
    by_key.into_iter().map(|(key, loads)| (key, merged(loads.iter().map(span), 0))).collect()
}

/// Why an answer is none that a call may give.
fn wrong(
    call: &Call,
    end: Micros,
    answer: Answer,
    loads: &HashMap<(usize, u64), &Load>,
    of_key: &[&Load],
) -> Option<String> {
    // The load of this process that ended so, while the call went on.
    let ended = |how: LoadEnd| {
        of_key.iter().any(|load| {
            load.process == call.process
                && load.end.is_some_and(|(at, this)| {
                    this == how && (call.begin.saturating_sub(ENDING)..=end + ENDING).contains(&at)
                })
        })
    };
    match answer {
        Answer::Value { .. } | Answer::Cancelled => None,
        Answer::Nothing => (call.how != How::Peek).then(|| "no value, and no error".to_owned()),
        Answer::Foreign(key) => Some(format!("the value of {key}")),
        Answer::Failed(number) => {
            let load = loads.get(&(call.process, number));
            let failed = load.and_then(|load| {
                load.end
                    .filter(|(at, how)| load.key == call.key && *how == LoadEnd::Failed && *at + ENDING >= call.begin)
            });
            failed.is_none().then(|| format!("the error of load {number}: {load:?}"))
        }
        Answer::TimedOut => (!ended(LoadEnd::Dropped)).then(|| "timed out, and no load did".to_owned()),
        Answer::Panicked => (!ended(LoadEnd::Panicked)).then(|| "panicked, and no load did".to_owned()),
    }
}

/// In a calm, Redis is in use again: not at every moment (two cores are few), but once it must be seen.
fn check_recovery(history: &History, weather: &Weather, process: usize) -> Vec<Violation> {
    let counts = &history.processes[process].counts;
    let calms = weather.calms().filter(|calm| calm.length() > SECOND);
    let broken = calms.filter(|calm| {
        let seen: Vec<&Counts> = counts.iter().filter(|counts| (calm.begin..calm.end).contains(&counts.at)).collect();
        seen.len() >= 3 && seen.iter().all(|counts| counts.breaker_is_open)
    });
    let what = "Redis is not in use, in a calm".to_owned();
    broken.map(|span| Violation { promise: "I8", key: None, process, span, what: what.clone() }).collect()
}

/// Each call has one outcome, whatever the faults were.
fn check_outcomes(history: &History, process: usize) -> Option<Violation> {
    let last = history.processes[process].counts.last()?;
    let (calls, outcomes) = last.calls_and_outcomes.filter(|(calls, outcomes)| calls != outcomes)?;
    let (span, what) = (Span { begin: last.at, end: last.at }, format!("{calls} calls have {outcomes} outcomes"));
    Some(Violation { promise: "outcomes", key: None, process, span, what })
}

/// In a calm, service is back.
fn check_change(history: &History, weather: &Weather, change: &Changed) -> Option<Violation> {
    let (end, promise) = (change.end.map(|(end, _)| end), "I8");
    let violation = |end: Micros, what: &str| {
        let span = Span { begin: change.begin, end };
        let key = change.written.first().map(|(key, _)| *key);
        let what = format!("{:?} {what}", change.change);
        Some(Violation { promise, key, process: change.process, span, what })
    };
    let Some(end) = end else {
        let is_lost = history.processes[change.process].killed.is_none();
        return is_lost.then(|| violation(change.begin, "never ends")).flatten();
    };
    let span = Span { begin: change.begin, end };
    let is_pending = matches!(change.end, Some((_, Told::Pending)));
    if is_pending && weather.is_even(span, &[change.process]) {
        return violation(end, "is not acknowledged, in a calm");
    }
    None
}

fn violation(promise: &'static str, call: &Call, end: Micros, what: String) -> Violation {
    let span = Span { begin: call.begin, end };
    let what = format!("{what} ({:?} {:?})", call.how, call.end.map(|(_, answer)| answer));
    Violation { promise, key: Some(call.key), process: call.process, span, what }
}
