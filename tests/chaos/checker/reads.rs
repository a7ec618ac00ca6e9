//! What was read: not too old, and from somewhere.

use std::collections::HashMap;

use super::weather::Weather;
use super::{Findings, MESSAGE, RECOVERY, STRICT, Violation, by_key};
use crate::history::{
    Answer, Call, Change, Changed, History, How, Key, LoadEnd, MILLISECOND, Micros, Origin, SECOND, Span, Told,
};

/// What clocks that are read over a network, and busy machines, add to a lifetime.
const AGEING: Micros = 1500 * MILLISECOND;

/// What was done with one key.
struct Story<'a> {
    history: &'a History,
    weather: &'a Weather,
    key: Key,
    /// Those that are about the key.
    changes: Vec<&'a Changed>,
}

/// A call that gave a value.
#[derive(Clone, Copy)]
struct Read<'a> {
    call: &'a Call,
    end: Micros,
    version: u64,
    origin: Origin,
}

/// Where a value came from, when, and with which version.
struct Birth {
    process: usize,
    begin: Micros,
    /// What is put, and nobody knows how that ended, may come at any time.
    end: Option<Micros>,
    version: u64,
    is_put: bool,
}

/// Since when a reader must not see what was there before a change, and why.
struct Bound {
    from: Micros,
    class: Class,
    /// Since when the change is in force.
    since: Micros,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Own,
    Undisturbed,
    Strict,
    Serving,
}

pub(super) fn check(history: &History, weather: &Weather, findings: &mut Findings) {
    let births = births(history);
    for (key, calls) in by_key(&history.calls, |call| call.key) {
        let changes = history.changes.iter().filter(|change| change.change.covers(key)).collect();
        let story = Story { history, weather, key, changes };
        for call in calls {
            if let Some((end, Answer::Value { version, origin })) = call.end {
                findings.reads += 1;
                story.check(Read { call, end, version, origin }, births.get(&(key, origin)), findings);
            }
        }
    }
}

fn births(history: &History) -> HashMap<(Key, Origin), Birth> {
    let loaded = history.loads.iter().filter_map(|load| match load.end {
        Some((end, LoadEnd::Gave(version))) => {
            let birth = Birth { process: load.process, begin: load.begin, end: Some(end), version, is_put: false };
            Some(((load.key, Origin::Load(load.process, load.number)), birth))
        }
        _ => None,
    });
    let put = history.changes.iter().filter_map(|put| match put.change {
        Change::Put(key) => {
            let end = put.end.filter(|(_, told)| *told == Told::Acknowledged).map(|(end, _)| end);
            let (_, version) = *put.written.first()?;
            let birth = Birth { process: put.process, begin: put.begin, end, version, is_put: true };
            Some(((key, Origin::Put(put.process, put.number)), birth))
        }
        _ => None,
    });
    loaded.chain(put).collect()
}

impl Story<'_> {
    fn check(&self, read: Read<'_>, birth: Option<&Birth>, findings: &mut Findings) {
        let Read { call, version, origin, .. } = read;
        let Some(birth) = birth.filter(|birth| birth.version == version && birth.begin <= read.end) else {
            let what = format!("version {version} by {origin:?} is not what that gave");
            return findings.violations.push(self.violation("I7", read, call.begin, what));
        };
        if matches!(call.how, How::Reload | How::Bypass) && birth.begin < call.begin {
            let what = format!("{:?} gives {origin:?}, which began before", call.how);
            findings.violations.push(self.violation("fresh", read, birth.begin, what));
        }
        self.check_age(read, birth, findings);
        for change in &self.changes {
            if birth.is_before(change) && !matches!(change.change, Change::Expire(_)) {
                self.check_against(read, change, findings);
            }
        }
    }

    /// I9. Until it is stored the process may have been stopped.
    fn check_age(&self, read: Read<'_>, birth: &Birth, findings: &mut Findings) {
        let Some(end) = birth.end else { return };
        let storing = Span { begin: end.saturating_sub(SECOND), end: end + SECOND };
        let ttl = self.key.function.ttl();
        let gone = end + ttl + AGEING + self.weather.stopped_in(birth.process, storing);
        if read.call.begin > gone {
            let late = (read.call.begin - gone) as f64 / 1000.0;
            let what = format!("{:?} was to be gone {late:.1} ms before", read.origin);
            findings.violations.push(self.violation("I9", read, end, what));
        }
    }

    /// A value that was there before a change.
    fn check_against(&self, read: Read<'_>, change: &Changed, findings: &mut Findings) {
        let Read { call, origin, .. } = read;
        if change.end.is_none_or(|(told_at, _)| told_at >= call.begin) {
            return;
        }
        let Some(bound) = self.bound(change, call.process) else { return };
        let age = call.begin.saturating_sub(bound.since);
        if call.begin <= bound.from {
            return findings.tolerate(bound.class, age);
        }
        let (age, late) = (age as f64 / 1000.0, (call.begin - bound.from) as f64 / 1000.0);
        let what = format!(
            "{origin:?}, {age:.1} ms after {:?} by {}; that is {late:.1} ms too late ({:?})",
            change.change, change.process, bound.class,
        );
        let promise = if bound.class == Class::Own { "I6" } else { "I2" };
        findings.violations.push(self.violation(promise, read, change.begin, what));
    }

    fn bound(&self, change: &Changed, reader: usize) -> Option<Bound> {
        let (told_at, told) = change.end?;
        if change.process == reader && told != Told::Unheard {
            return Some(Bound { from: told_at, class: Class::Own, since: told_at });
        }
        let acknowledged = self.effective(change, told_at, told)?;
        let heard = acknowledged + MESSAGE;
        let deaf_until = self.weather.deaf_until(reader, Span { begin: change.begin, end: heard });
        let (from, class) = match deaf_until {
            None => (heard, Class::Undisturbed),
            Some(until) if self.history.processes[reader].is_strict => {
                (until.max(heard).min(acknowledged + STRICT), Class::Strict)
            }
            Some(until) => (until.max(heard), Class::Serving),
        };
        Some(Bound { from, class, since: acknowledged })
    }

    /// When a change is in force in Redis for good, if it comes to that.
    fn effective(&self, change: &Changed, told_at: Micros, told: Told) -> Option<Micros> {
        let span = Span { begin: change.begin, end: told_at };
        let undone_until = self.weather.undone_until(span);
        if told == Told::Acknowledged && undone_until.is_none() {
            return Some(told_at);
        }
        let span = Span { end: undone_until.unwrap_or(0).max(told_at), ..span };
        let until = self.weather.troubled_until(change.process, span).unwrap_or(0).max(span.end + RECOVERY);
        let process = &self.history.processes[change.process];
        process.killed.is_none_or(|killed| killed > until).then_some(until)
    }

    fn violation(&self, promise: &'static str, read: Read<'_>, begin: Micros, what: String) -> Violation {
        let span = Span { begin, end: read.end };
        Violation { promise, key: Some(self.key), process: read.call.process, span, what }
    }
}

impl Birth {
    /// A load is from before all that was begun after its beginning. What is put takes effect at some time until its end.
    fn is_before(&self, change: &Changed) -> bool {
        match self.is_put {
            false => self.begin < change.begin,
            true => self.end.is_some_and(|end| end < change.begin),
        }
    }
}

impl Findings {
    /// A read that was older than a change, but not too old.
    fn tolerate(&mut self, class: Class, age: Micros) {
        let (count, worst) = match class {
            Class::Own => return,
            Class::Undisturbed => (&mut self.late_undisturbed, &mut self.worst_undisturbed),
            Class::Strict => (&mut self.late_strict, &mut self.worst_strict),
            Class::Serving => (&mut self.late_serving, &mut self.worst_serving),
        };
        *count += 1;
        *worst = age.max(*worst);
    }
}
