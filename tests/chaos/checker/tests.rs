//! Histories that the checker must accept, and the same with one thing wrong. Times are in milliseconds.

use super::*;
use crate::history::{
    Answer, Call, Change, Changed, Counts, Fault, Function, Harm, How, Load, LoadEnd, Origin, Process, Told,
};
use crate::log::Record;

const KEY: Key = Key { function: Function::Lasting, id: 1 };
const BRIEF: Key = Key { function: Function::Brief, id: 1 };

/// What the first load gives, where it is process 0's.
const ONE: Answer = Answer::Value { version: 1, origin: Origin::Load(0, 0) };

/// A minute in which nothing has happened yet. Even processes serve, odd ones are strict.
fn quiet() -> History {
    let process = |number| Process {
        number,
        place: number,
        is_strict: number % 2 == 1,
        ended: Some(60 * SECOND),
        ..Process::default()
    };
    History { processes: (0..4).map(process).collect(), ..History::default() }
}

fn span(begin: u64, end: u64) -> Span {
    Span { begin: begin * MILLISECOND, end: end * MILLISECOND }
}

impl History {
    fn loaded(mut self, process: usize, key: Key, times: (u64, u64), end: LoadEnd) -> Self {
        let (Span { begin, end: at }, number) = (span(times.0, times.1), self.loads.len() as u64);
        self.loads.push(Load { process, number, key, how: How::Plainly, begin, end: Some((at, end)) });
        self
    }

    fn called(self, process: usize, key: Key, times: (u64, u64), answer: Answer) -> Self {
        self.called_so(How::Plainly, process, key, times, answer)
    }

    fn called_so(mut self, how: How, process: usize, key: Key, times: (u64, u64), answer: Answer) -> Self {
        let Span { begin, end } = span(times.0, times.1);
        self.calls.push(Call { process, key, how, begin, end: Some((end, answer)) });
        self
    }

    fn changed(mut self, process: usize, change: Change, to: u64, times: (u64, u64), told: Told) -> Self {
        let Span { begin, end } = span(times.0, times.1);
        let (written, number) = (vec![(KEY, to)], self.changes.len() as u64);
        self.changes.push(Changed { process, number, change, written, begin, end: Some((end, told)) });
        self
    }

    fn harmed(mut self, what: Harm, place: Option<usize>, times: (u64, u64)) -> Self {
        self.faults.push(Fault { what, place, span: span(times.0, times.1) });
        self
    }

    fn killed(mut self, process: usize, at: u64) -> Self {
        self.processes[process].killed = Some(at * MILLISECOND);
        self
    }

    /// Version 1 is loaded at 100, and process 0 changes it to 2 at 1000.
    fn of_two_versions(told: Told) -> Self {
        let history = quiet().loaded(0, KEY, (100, 110), LoadEnd::Gave(1));
        history.changed(0, Change::Invalidate(KEY), 2, (1000, 1010), told)
    }

    fn reads_one(self, process: usize, at: u64) -> Self {
        self.called(process, KEY, (at, at + 1), ONE)
    }

    #[track_caller]
    fn accepted(self) -> Self {
        let violations = check(&self).violations;
        assert!(violations.is_empty(), "{violations:#?}");
        self
    }

    #[track_caller]
    fn breaks(self, promises: &[&str]) -> Self {
        let broken: Vec<_> = check(&self).violations.iter().map(|violation| violation.promise).collect();
        assert_eq!(broken, promises);
        self
    }
}

#[test]
fn the_process_that_made_a_change_sees_it_at_once() {
    for told in [Told::Acknowledged, Told::Pending] {
        // A change that is not acknowledged in a calm is wrong by itself.
        let history = History::of_two_versions(told).harmed(Harm::Deaf, Some(0), (900, 2000));
        history.reads_one(0, 1009).accepted().reads_one(0, 1011).breaks(&["I6"]);
    }
}

#[test]
fn others_see_it_within_a_message() {
    let history = History::of_two_versions(Told::Acknowledged);
    history.reads_one(2, 3009).accepted().reads_one(2, 3011).breaks(&["I2"]);
}

#[test]
fn messages_that_come_late_are_followed_and_under_strict_their_loss_within_three_seconds() {
    let history = || History::of_two_versions(Told::Acknowledged).harmed(Harm::Deaf, None, (1500, 9000));
    history().reads_one(2, 11_999).accepted().reads_one(2, 12_001).breaks(&["I2"]);
    history().reads_one(1, 4509).accepted().reads_one(1, 4511).breaks(&["I2"]);
    let before = History::of_two_versions(Told::Acknowledged).harmed(Harm::Deaf, Some(2), (1, 500));
    before.reads_one(2, 3499).accepted().reads_one(2, 3501).breaks(&["I2"]);
    let elsewhere = History::of_two_versions(Told::Acknowledged).harmed(Harm::Deaf, Some(3), (1500, 9000));
    elsewhere.reads_one(2, 3011).breaks(&["I2"]);
    let slow = history().harmed(Harm::Slow, Some(2), (11_000, 13_000));
    slow.reads_one(2, 15_999).accepted().reads_one(2, 16_001).breaks(&["I2"]);
    let after = History::of_two_versions(Told::Acknowledged).harmed(Harm::Deaf, Some(2), (3200, 9000));
    after.reads_one(2, 3011).breaks(&["I2"]);
}

#[test]
fn what_is_pending_is_in_force_once_its_process_is_out_of_trouble() {
    let history = || History::of_two_versions(Told::Pending).harmed(Harm::Deaf, Some(0), (900, 5000));
    history().reads_one(2, 9999).accepted().reads_one(2, 10_001).breaks(&["I2"]);
    history().killed(0, 7000).reads_one(2, 10_001).accepted();
    history().killed(0, 8100).reads_one(2, 10_001).breaks(&["I2"]);
    let unheard = || History::of_two_versions(Told::Unheard);
    unheard().reads_one(0, 6009).accepted().reads_one(0, 6011).breaks(&["I2"]);
    unheard().reads_one(2, 6009).accepted().reads_one(2, 6011).breaks(&["I2"]);
}

#[test]
fn an_invalidation_that_redis_has_undone_holds_once_it_was_sent_again() {
    let history = || History::of_two_versions(Told::Acknowledged).harmed(Harm::Undone, None, (900, 3000));
    history().reads_one(1, 6999).accepted().reads_one(1, 9501).breaks(&["I2"]);
    history().reads_one(0, 1011).breaks(&["I6"]);
    history().killed(0, 5000).reads_one(1, 9501).accepted();
    let earlier = History::of_two_versions(Told::Acknowledged).harmed(Harm::Undone, None, (1100, 3000));
    earlier.reads_one(1, 4511).breaks(&["I2"]);
}

#[test]
fn changes_of_groups_count_and_those_that_only_expire_do_not() {
    let changed = |change| {
        let history = quiet().loaded(0, KEY, (100, 110), LoadEnd::Gave(1));
        history.changed(0, change, 2, (1000, 1010), Told::Acknowledged).reads_one(2, 3011)
    };
    for change in [Change::Function(KEY.function), Change::Clear, Change::Put(KEY)] {
        changed(change).breaks(&["I2"]);
    }
    changed(Change::Expire(KEY)).accepted();
}

#[test]
fn a_put_of_an_older_version_meanwhile_may_come_last() {
    let put = |times| {
        let history = quiet().changed(1, Change::Put(KEY), 1, times, Told::Acknowledged);
        let history = history.changed(0, Change::Invalidate(KEY), 2, (1000, 1010), Told::Acknowledged);
        history.called(2, KEY, (3500, 3501), Answer::Value { version: 1, origin: Origin::Put(1, 0) })
    };
    put((990, 999)).breaks(&["I2"]);
    put((990, 1001)).accepted();
    put((1020, 1030)).accepted();
}

#[test]
fn no_value_outlives_its_lifetime_or_comes_from_nowhere() {
    let history = quiet().loaded(0, BRIEF, (100, 1100), LoadEnd::Gave(1));
    history.called(2, BRIEF, (3399, 3400), ONE).accepted().called(2, BRIEF, (3401, 3402), ONE).breaks(&["I9"]);
    quiet().called(2, BRIEF, (500, 501), ONE).breaks(&["I7"]);
    let failed = quiet().loaded(0, BRIEF, (100, 110), LoadEnd::Dropped);
    failed.called(2, BRIEF, (500, 501), ONE).breaks(&["I7"]);
    let other = quiet().loaded(0, BRIEF, (100, 110), LoadEnd::Gave(2));
    other.called(2, BRIEF, (500, 501), ONE).breaks(&["I7"]);
    quiet().called(2, BRIEF, (500, 501), Answer::Foreign(KEY)).breaks(&["I8"]);
}

#[test]
fn a_refresh_gets_a_new_load() {
    for how in [How::Reload, How::Bypass] {
        let history = quiet().loaded(0, KEY, (100, 110), LoadEnd::Gave(1));
        let history = history.called_so(how, 0, KEY, (99, 111), ONE).accepted();
        history.called_so(how, 0, KEY, (101, 111), ONE).breaks(&["fresh"]);
    }
}

#[test]
fn every_call_is_answered_in_time() {
    let unanswered = || {
        let mut history = quiet().called(1, KEY, (500, 501), Answer::Cancelled);
        history.calls[0].end = None;
        history
    };
    unanswered().breaks(&["I4"]);
    unanswered().killed(1, 600).accepted();

    let slow = |end| {
        let history = quiet().harmed(Harm::Deaf, Some(2), (600, 700)).loaded(0, KEY, (0, 400), LoadEnd::Gave(1));
        history.called(1, KEY, (500, end), ONE)
    };
    slow(6000).accepted();
    slow(6001).breaks(&["I4"]);
    slow(7000).harmed(Harm::Stopped, Some(1), (2000, 3000)).accepted();

    let mut hung = quiet();
    hung.processes[1].ended = None;
    hung.breaks(&["I4"]);
}

#[test]
fn in_a_calm_nobody_waits_without_a_load() {
    let waits = |load: (u64, u64)| {
        let history = quiet().loaded(0, KEY, load, LoadEnd::Gave(1));
        history.called(1, KEY, (1000, 2200), ONE)
    };
    waits((1100, 1310)).accepted();
    waits((1100, 1290)).breaks(&["I4"]);
    waits((1100, 1290)).harmed(Harm::Killed, Some(3), (900, 950)).accepted();
}

#[test]
fn an_error_comes_from_a_load() {
    let failed = |number| {
        let history = quiet().loaded(1, KEY, (100, 900), LoadEnd::Failed);
        history.called(1, KEY, (500, 901), Answer::Failed(number))
    };
    failed(0).accepted();
    failed(1).breaks(&["I8"]);
    let early = quiet().loaded(1, KEY, (100, 400), LoadEnd::Failed);
    early.called(1, KEY, (1401, 1402), Answer::Failed(0)).breaks(&["I8"]);

    for (answer, end) in [(Answer::TimedOut, LoadEnd::Dropped), (Answer::Panicked, LoadEnd::Panicked)] {
        let ended = |process, end| quiet().loaded(process, KEY, (100, 900), end).called(1, KEY, (500, 901), answer);
        ended(1, end).accepted();
        ended(2, end).breaks(&["I8"]);
        ended(1, LoadEnd::Failed).breaks(&["I8"]);
    }
    quiet().called(1, KEY, (500, 501), Answer::Nothing).breaks(&["I8"]);
    quiet().called_so(How::Peek, 1, KEY, (500, 501), Answer::Nothing).accepted();
}

#[test]
fn in_a_calm_redis_is_in_use() {
    let looks = |open: &[u64]| {
        let mut history = quiet().harmed(Harm::Deaf, Some(2), (1000, 2000));
        let looks =
            (2..30).map(|at| Counts { at: at * SECOND, breaker_is_open: open.contains(&at), ..Counts::default() });
        history.processes[1].counts = looks.collect();
        history.harmed(Harm::Deaf, Some(2), (10_000, 11_000))
    };
    looks(&[5, 6, 7, 8]).accepted();
    looks(&[5, 6, 7, 8, 9]).breaks(&["I8"]);
}

#[test]
fn each_call_has_one_outcome() {
    let ended_with = |outcomes| {
        let mut history = quiet();
        let calls_and_outcomes = Some((5, outcomes));
        history.processes[1].counts = vec![Counts { at: SECOND, calls_and_outcomes, ..Counts::default() }];
        history
    };
    ended_with(5).accepted();
    ended_with(6).breaks(&["outcomes"]);
    ended_with(4).breaks(&["outcomes"]);
}

#[test]
fn in_a_calm_changes_are_acknowledged() {
    let pending = || History::of_two_versions(Told::Pending);
    pending().breaks(&["I8"]);
    pending().harmed(Harm::Slow, Some(0), (100, 200)).accepted();
    pending().harmed(Harm::Slow, Some(0), (4100, 4200)).breaks(&["I8"]);
}

#[test]
fn in_a_calm_a_key_is_loaded_by_one_at_a_time() {
    let twice = |begin| {
        let history = quiet().loaded(0, KEY, (5000, 5100), LoadEnd::Failed);
        history.loaded(1, KEY, (begin, begin + 10), LoadEnd::Gave(1))
    };
    twice(5101).accepted();
    twice(5099).breaks(&["I1"]);
    twice(5099).harmed(Harm::Lost, None, (1000, 1001)).accepted();
    twice(5099).harmed(Harm::Slow, Some(3), (2200, 2400)).accepted();
    twice(5099).changed(3, Change::Clear, 2, (4000, 4010), Told::Acknowledged).accepted();
    twice(5099).changed(3, Change::Clear, 2, (3900, 3990), Told::Acknowledged).breaks(&["I1"]);
    twice(5099).called_so(How::Reload, 3, KEY, (4990, 5000), Answer::Cancelled).accepted();
    let slow = quiet().loaded(0, KEY, (5000, 6500), LoadEnd::Failed);
    slow.loaded(1, KEY, (6400, 6410), LoadEnd::Gave(1)).accepted();
}

#[test]
fn after_a_load_that_stored_nothing_others_load_beside_each_other_for_a_second_or_one_load() {
    let beside = |end, first: (u64, u64), second: u64| {
        let history = quiet().loaded(0, KEY, (5000, 5100), end);
        let history = history.loaded(1, KEY, first, LoadEnd::Gave(1));
        history.loaded(2, KEY, (second, second + 10), LoadEnd::Gave(1))
    };
    beside(LoadEnd::Failed, (5150, 5400), 5300).accepted();
    beside(LoadEnd::Panicked, (6050, 6400), 6350).accepted();
    beside(LoadEnd::Failed, (7000, 7400), 7300).breaks(&["I1"]);
}

#[test]
fn in_a_calm_a_fresh_value_is_not_loaded_again() {
    let twice = |begin| {
        let history = quiet().loaded(0, BRIEF, (5000, 5100), LoadEnd::Gave(1));
        history.loaded(1, BRIEF, (begin, begin + 10), LoadEnd::Gave(1))
    };
    twice(5450).accepted();
    twice(5449).breaks(&["I5"]);
    let failed = quiet().loaded(0, BRIEF, (5000, 5100), LoadEnd::Failed);
    failed.loaded(1, BRIEF, (5101, 5110), LoadEnd::Gave(1)).accepted();
    assert_eq!(check(&twice(5450)).load_claims, 1);
}

#[test]
fn spans_that_meet_become_one_and_the_last_one_counts() {
    let merged = weather::merged([span(50, 60), span(0, 10), span(15, 20)].into_iter(), 5 * MILLISECOND);
    assert_eq!(merged, [span(0, 25), span(50, 65)]);
    assert_eq!(weather::overlap(&merged, span(20, 55)), 10 * MILLISECOND);
    let weather = weather::Weather::of(&quiet().harmed(Harm::Deaf, Some(2), (1000, 2000)));
    let until = |begin, end| weather.deaf_until(2, span(begin, end)).map(|until| until / SECOND);
    assert_eq!((until(0, 999), until(0, 1000), until(5000, 9000), until(5001, 9000)), (None, Some(5), Some(5), None));
    assert_eq!(weather.deaf_until(1, span(0, 9000)), None);
}

#[test]
fn a_log_is_read_as_it_was_written() {
    let records = [
        Record::Call { number: 0, key: KEY, how: How::Plainly, at: 1 },
        Record::Load { number: 0, key: KEY, how: How::Plainly, at: 2 },
        Record::Change { number: 0, change: Change::Clear, written: vec![(KEY, 2)], at: 3 },
        Record::Loaded { number: 0, end: LoadEnd::Gave(1), at: 4 },
        Record::Answer { number: 0, answer: ONE, at: 5 },
        Record::End { at: 6 },
    ];
    let lines: Vec<String> = records.iter().map(|record| serde_json::to_string(record).unwrap()).collect();
    let (log, mut history) = (lines.join("\n"), History::default());
    history.add(Process::default(), &log);
    history.add(Process { number: 1, killed: Some(9), ..Process::default() }, &log[..log.len() - 5]);
    assert_eq!((history.processes[0].ended, history.processes[1].ended), (Some(6), None));
    for process in 0..2 {
        assert_eq!(history.calls[process].end, Some((5, ONE)));
        assert_eq!(history.loads[process].end, Some((4, LoadEnd::Gave(1))));
        assert_eq!((history.changes[process].process, history.changes[process].end), (process, None));
    }
}
