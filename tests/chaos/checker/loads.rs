//! How often a key is loaded, in a calm: once for each change, and once for each stale period.

use super::weather::Weather;
use super::{Findings, RECOVERY, Violation, by_key};
use crate::history::{Call, Function, History, How, Load, LoadEnd, MILLISECOND, Micros, SECOND, Span, Told};

/// By how much clocks that are read over a network may disagree about when a value is stale.
const SKEW: Micros = 150 * MILLISECOND;

/// How late a message may come that makes somebody load once more. (Were it later, a load too many would be found.)
const LATE: Micros = SECOND;

/// How long a load that stored nothing lets others load beside each other, unless one of them has the lease by then.
const MARK: Micros = SECOND;

/// How long the lease of a process that was killed lives.
const LEASE: Micros = 3 * SECOND;

pub(super) fn check(history: &History, weather: &Weather, findings: &mut Findings) {
    // These load whatever is cached, and end the leases of others.
    let reloads = by_key(history.calls.iter().filter(|call| call.how == How::Reload), |call| call.key);
    for (key, mut loads) in by_key(history.loads.iter().filter(|load| load.how == How::Plainly), |load| load.key) {
        loads.sort_by_key(|load| load.begin);
        let changes = history.changes.iter().filter(|change| change.change.covers(key));
        // One that is pending is made up for at any time.
        let changed = changes.map(|change| match change.end {
            Some((end, Told::Acknowledged)) => Span { begin: change.begin, end },
            Some((end, Told::Pending | Told::Unheard)) => Span { begin: change.begin, end: end + 2 * RECOVERY },
            None => Span { begin: change.begin, end: change.begin + 2 * RECOVERY },
        });
        let reloaded = reloads.get(&key).into_iter().flatten().map(|call| span(call));
        let changed: Vec<Span> = changed.chain(reloaded).collect();
        let beside = beside(history.loads.iter().filter(|load| load.key == key && load.how != How::Bypass));
        for pair in loads.windows(2) {
            let [first, second] = pair else { continue };
            let Some((end, how)) = first.end else { continue };
            let span = Span { begin: first.begin, end: end.max(second.begin) };
            // A message may come when the next load has begun.
            let heeds = |change: &Span| Span { end: change.end.saturating_add(LATE), ..*change }.meets(span);
            if !weather.is_even(span, &[first.process, second.process])
                || changed.iter().any(heeds)
                || outlasts_patience(&loads, second)
                // What is loaded beside the lease holder is in nobody else's memory.
                || beside.iter().any(|span| [first, second].iter().any(|load| span.meets(at(load.begin))))
            {
                continue;
            }
            findings.load_claims += 1;
            let (promise, due) = match how {
                LoadEnd::Gave(_) if second.begin >= end => ("I5", end + key.function.fresh_for() - SKEW),
                _ => ("I1", end),
            };
            if second.begin < due {
                let early = (due - second.begin) as f64 / 1000.0;
                let what = format!("load {} of {} begins {early:.1} ms early", second.number, second.process);
                let span = Span { begin: first.begin, end: second.begin };
                findings.violations.push(Violation { promise, key: Some(key), process: second.process, span, what });
            }
        }
    }
}

/// When loads run beside the one that has the lease: from the end of a load that stored nothing until its mark ends, and until the loads
/// end that began meanwhile, one of which has the lease and the mark.
fn beside<'a>(loads: impl Iterator<Item = &'a Load>) -> Vec<Span> {
    let loads: Vec<&Load> = loads.collect();
    let stored_nothing = loads.iter().filter_map(|load| load.end.filter(|(_, how)| !matches!(how, LoadEnd::Gave(_))));
    let end_of = |load: &&Load| load.end.map_or(load.begin + LEASE, |(end, _)| end);
    stored_nothing
        .map(|(begin, _)| {
            let mark = Span { begin, end: begin + MARK + SKEW };
            let last = loads.iter().filter(|load| mark.meets(at(load.begin))).map(end_of).max();
            Span { end: last.map_or(mark.end, |last| last.max(mark.end)), ..mark }
        })
        .collect()
}

fn at(moment: Micros) -> Span {
    Span { begin: moment, end: moment }
}

fn span(call: &Call) -> Span {
    Span { begin: call.begin, end: call.end.map_or(Micros::MAX, |(end, _)| end) }
}

/// Who has waited for others as long as it may loads for itself. It takes slow loads to come to that.
fn outlasts_patience(loads: &[&Load], second: &Load) -> bool {
    let patience = patience(second.key.function);
    let since = second.begin.saturating_sub(patience);
    loads.iter().any(|load| {
        let end = load.end.map_or(Micros::MAX, |(end, _)| end);
        load.begin < second.begin && end > since && end.min(second.begin) - load.begin > patience / 2
    })
}

fn patience(function: Function) -> Micros {
    function.timeout().unwrap_or(30 * SECOND)
}
