//! What was read: not too old, and from somewhere.

use super::weather::Weather;
use super::{Findings, MESSAGE, RECOVERY, STRICT, Violation, by_key};
use crate::history::{
    Answer, Call, Change, Changed, History, How, Key, Load, LoadEnd, MILLISECOND, Micros, SECOND, Span, Told,
};

/// What clocks that are read over a network, and busy machines, add to a lifetime.
const AGEING: Micros = 1500 * MILLISECOND;

/// The versions of one key: what was loaded, put and changed.
struct Story<'a> {
    history: &'a History,
    weather: &'a Weather,
    key: Key,
    loads: Vec<&'a Load>,
    /// Those that wrote a version of the key, with it.
    changes: Vec<(&'a Changed, u64)>,
}

/// A call that gave a version.
#[derive(Clone, Copy)]
struct Read<'a> {
    call: &'a Call,
    version: u64,
    end: Micros,
}

/// Since when a reader must not see what was there before a change, and why.
struct Bound {
    from: Micros,
    class: Class,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Own,
    Undisturbed,
    Strict,
    Serving,
}

pub(super) fn check(history: &History, weather: &Weather, findings: &mut Findings) {
    let mut loads = by_key(&history.loads, |load| load.key);
    findings.replays =
        history.changes.iter().filter(|change| matches!(change.end, Some((_, Told::Pending)))).count() as u64;
    for (key, calls) in by_key(&history.calls, |call| call.key) {
        let changes = history.changes.iter().filter_map(|change| {
            let (_, version) = change.written.iter().find(|(written, _)| *written == key)?;
            Some((change, *version))
        });
        let loads = loads.remove(&key).unwrap_or_default();
        let story = Story { history, weather, key, loads, changes: changes.collect() };
        for call in calls {
            if let Some((end, Answer::Version(version))) = call.end {
                story.check(Read { call, version, end }, findings);
            }
        }
    }
}

impl Story<'_> {
    fn check(&self, read: Read<'_>, findings: &mut Findings) {
        findings.reads += 1;
        for (change, version) in &self.changes {
            if read.version < *version {
                self.check_against(read, change, *version, findings);
            }
        }
        self.check_origin(read, findings);
    }

    fn check_against(&self, read: Read<'_>, change: &Changed, version: u64, findings: &mut Findings) {
        let Read { call, .. } = read;
        // The database had the version before the change began.
        if matches!(call.how, How::Anew | How::Past) && change.begin < call.begin {
            let what = format!("loads anew and gets version {}, not {version}", read.version);
            findings.violations.push(self.violation("fresh", read, change.begin, what));
        }
        if matches!(change.change, Change::Expire(_)) || self.was_put_since(read.version, change) {
            return;
        }
        let Some((told_at, _)) = change.end.filter(|(at, _)| *at < call.begin) else { return };
        let Some(bound) = self.bound(change, call.process) else { return };
        let age = call.begin - told_at;
        if call.begin <= bound.from {
            findings.tolerate(bound.class, age);
        } else {
            let late = (call.begin - bound.from) as f64 / 1000.0;
            let what = format!(
                "version {}, {:.1} ms after {:?} to version {version}; by {late:.1} ms too old ({:?})",
                read.version,
                age as f64 / 1000.0,
                change.change,
                bound.class,
            );
            let promise = if bound.class == Class::Own { "I6" } else { "I2" };
            findings.violations.push(self.violation(promise, read, change.begin, what));
        }
    }

    /// What is put counts as loaded just then. One of which nobody knows how it ended may come at any time.
    fn was_put_since(&self, version: u64, change: &Changed) -> bool {
        self.changes.iter().any(|(put, of)| {
            *of == version
                && matches!(put.change, Change::Put(_))
                && match put.end {
                    Some((at, Told::Acknowledged)) => at >= change.begin,
                    Some((_, Told::Pending | Told::Unheard)) | None => true,
                }
        })
    }

    fn bound(&self, change: &Changed, reader: usize) -> Option<Bound> {
        let (told_at, told) = change.end?;
        if change.process == reader && told != Told::Unheard {
            return Some(Bound { from: told_at, class: Class::Own });
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
        Some(Bound { from, class })
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

    /// I7 and I9.
    fn check_origin(&self, read: Read<'_>, findings: &mut Findings) {
        let ttl = self.key.function.ttl();
        let loaded = self.loads.iter().filter_map(|load| match load.end {
            Some((end, LoadEnd::Gave(version))) if version == read.version => Some((load.process, end)),
            _ => None,
        });
        let puts = self.changes.iter().filter(|(put, version)| {
            *version == read.version && matches!(put.change, Change::Put(_)) && put.begin < read.end
        });
        let put = puts.map(|(put, _)| match put.end {
            Some((end, Told::Acknowledged)) => (put.process, end),
            Some((_, Told::Pending | Told::Unheard)) | None => (put.process, Micros::MAX),
        });
        // Until it is stored the process may have been stopped.
        let lives = loaded.chain(put).map(|(process, end)| {
            let storing = Span { begin: end.saturating_sub(SECOND), end: end.saturating_add(SECOND) };
            end.saturating_add(ttl + AGEING + self.weather.stopped_in(process, storing))
        });
        let lives: Vec<Micros> = lives.collect();
        let Some(gone) = lives.iter().max() else {
            let what = format!("version {} comes from nowhere", read.version);
            return findings.violations.push(self.violation("I7", read, read.call.begin, what));
        };
        if read.call.begin > *gone {
            let what = format!(
                "version {} was to be gone {:.1} ms before",
                read.version,
                (read.call.begin - gone) as f64 / 1000.0
            );
            findings.violations.push(self.violation("I9", read, gone.saturating_sub(ttl), what));
        }
    }

    fn violation(&self, promise: &'static str, read: Read<'_>, begin: Micros, what: String) -> Violation {
        let span = Span { begin, end: read.end };
        Violation { promise, key: Some(self.key), process: read.call.process, span, what }
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
