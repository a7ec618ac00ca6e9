//! A process's log: one write for each record, so that nothing of what it did is missing when it is killed.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::history::{Answer, Change, How, Key, LoadEnd, Record, Told, now};

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
