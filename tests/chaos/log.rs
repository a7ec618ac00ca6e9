//! A process's log: one write for each record, so that nothing of what it did is missing when it is killed. And reading it.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use crate::history::{
    Answer, Call, Change, Changed, Counts, History, How, Key, Load, LoadEnd, Micros, Process, Span, Told, now,
};

/// A line in a process's log. Numbers are unique in their process, kind by kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Record {
    Call {
        number: u64,
        key: Key,
        how: How,
        at: Micros,
    },
    Answer {
        number: u64,
        answer: Answer,
        at: Micros,
    },
    Load {
        number: u64,
        key: Key,
        how: How,
        at: Micros,
    },
    Loaded {
        number: u64,
        end: LoadEnd,
        at: Micros,
    },
    /// With the versions that were written before, in the database.
    Change {
        number: u64,
        change: Change,
        written: Vec<(Key, u64)>,
        at: Micros,
    },
    Told {
        number: u64,
        told: Told,
        at: Micros,
    },
    /// The process did not run for that long.
    Stall {
        from: Micros,
        to: Micros,
    },
    Counts(Counts),
    /// Nothing follows: all calls were awaited.
    End {
        at: Micros,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Log {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    calls: u64,
    loads: u64,
    changes: u64,
}

impl Log {
    pub(crate) fn create(path: &Path) -> Self {
        let file = File::create(path).unwrap();
        Self { inner: Arc::new(Mutex::new(Inner { file, calls: 0, loads: 0, changes: 0 })) }
    }

    pub(crate) fn write(&self, record: &Record) {
        self.inner.lock().unwrap().write(record);
    }

    pub(crate) fn call(&self, key: Key, how: How) -> u64 {
        self.numbered(|inner| &mut inner.calls, |number| Record::Call { number, key, how, at: now() })
    }

    pub(crate) fn answered(&self, number: u64, answer: Answer) {
        let at = now();
        self.write(&Record::Answer { number, answer, at });
    }

    pub(crate) fn change(&self, change: Change, written: Vec<(Key, u64)>) -> u64 {
        self.numbered(|inner| &mut inner.changes, |number| Record::Change { number, change, written, at: now() })
    }

    pub(crate) fn told(&self, number: u64, told: Told) {
        let at = now();
        self.write(&Record::Told { number, told, at });
    }

    pub(crate) fn load(&self, key: Key, how: How) -> Loading {
        let number = self.numbered(|inner| &mut inner.loads, |number| Record::Load { number, key, how, at: now() });
        Loading { log: self.clone(), number, end: LoadEnd::Dropped }
    }

    /// Numbers are given and written under one lock: they stand in the log in their order.
    fn numbered(&self, count: impl FnOnce(&mut Inner) -> &mut u64, record: impl FnOnce(u64) -> Record) -> u64 {
        let mut inner = self.inner.lock().unwrap();
        let count = count(&mut inner);
        let number = *count;
        *count += 1;
        inner.write(&record(number));
        number
    }
}

impl Inner {
    fn write(&mut self, record: &Record) {
        let mut line = serde_json::to_vec(record).unwrap();
        line.push(b'\n');
        self.file.write_all(&line).unwrap();
    }
}

/// A load that is running. Its end is written down whatever way it ends.
pub(crate) struct Loading {
    log: Log,
    pub(crate) number: u64,
    end: LoadEnd,
}

impl Loading {
    pub(crate) fn end(mut self, end: LoadEnd) {
        self.end = end;
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        self.log.write(&Record::Loaded { number: self.number, end: self.end, at: now() });
    }
}

impl History {
    /// Takes in what the next process wrote down. What it was writing when it was killed may be cut short.
    pub(crate) fn add(&mut self, mut process: Process, log: &str) {
        let number = self.processes.len();
        assert_eq!(process.number, number, "processes are added in their order");
        let (mut calls, mut loads, mut changes) = <(Vec<Call>, Vec<Load>, Vec<Changed>)>::default();
        for line in log.lines() {
            let record = match serde_json::from_str(line) {
                Ok(record) => record,
                Err(_) if process.killed.is_some() => break,
                Err(error) => panic!("a line that cannot be read: {line:?}: {error}"),
            };
            // Numbers count up from zero in the order of the records.
            match record {
                Record::Call { key, how, at, .. } => {
                    calls.push(Call { process: number, key, how, begin: at, end: None });
                }
                Record::Answer { number, answer, at } => calls[number as usize].end = Some((at, answer)),
                Record::Load { number: load, key, how, at } => {
                    loads.push(Load { process: number, number: load, key, how, begin: at, end: None });
                }
                Record::Loaded { number, end, at } => loads[number as usize].end = Some((at, end)),
                Record::Change { number: this, change, written, at } => {
                    changes.push(Changed { process: number, number: this, change, written, begin: at, end: None });
                }
                Record::Told { number, told, at } => changes[number as usize].end = Some((at, told)),
                Record::Stall { from, to } => process.stalls.push(Span { begin: from, end: to }),
                Record::Counts(counts) => process.counts.push(counts),
                Record::End { at } => process.ended = Some(at),
            }
        }
        self.processes.push(process);
        self.calls.append(&mut calls);
        self.loads.append(&mut loads);
        self.changes.append(&mut changes);
    }
}
