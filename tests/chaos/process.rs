//! A process of the fleet, as its parent sees it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use hybridcache_test_support::worker::WorkerProcess;

use crate::history::{History, Process, now};
use crate::worker::Orders;

/// How long a process may take to end once it is told to: the longest call, twice.
const PATIENCE: Duration = Duration::from_secs(75);

pub(crate) struct Worker {
    running: WorkerProcess,
    process: Process,
    log: PathBuf,
}

impl Worker {
    pub(crate) fn start(place: usize, orders: &Orders) -> Self {
        let begin = now();
        let settings = orders.to_settings();
        let running = WorkerProcess::start("worker", &settings.each_ref().map(String::as_str));
        let process =
            Process { number: orders.number, place, is_strict: orders.is_strict, begin, ..Process::default() };
        Self { running, process, log: orders.log.clone().into() }
    }

    pub(crate) fn number(&self) -> usize {
        self.process.number
    }

    /// The process may just have been killed.
    pub(crate) fn say(&self, word: &str) {
        self.running.tell(word);
    }

    pub(crate) fn pause(&self) {
        self.running.pause();
    }

    pub(crate) fn resume(&self) {
        self.running.resume();
    }

    pub(crate) fn kill(&mut self) {
        // What it does until it is dead counts.
        self.process.killed = Some(now());
        self.running.kill();
        self.process.killed = Some(now());
    }

    /// It makes no more calls from now on.
    pub(crate) fn tell_to_stop(&mut self) {
        self.running.close_input();
    }

    /// Waits until it has, and takes in its log. Whether it came to an end is for the checker to see.
    pub(crate) fn end(mut self, history: &mut History) {
        if self.process.killed.is_none() {
            self.running.ends_within(PATIENCE);
        }
        let log = fs::read(&self.log).unwrap_or_default();
        history.add(std::mem::take(&mut self.process), &String::from_utf8_lossy(&log));
    }
}
