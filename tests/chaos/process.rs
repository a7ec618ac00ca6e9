//! A process of the fleet, as its parent sees it.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::history::{History, Process, now};
use crate::worker::{ORDERS, Orders};

/// How long a process may take to end once it is told to: the longest call, twice.
const PATIENCE: Duration = Duration::from_secs(75);

pub(crate) struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    process: Process,
    log: PathBuf,
}

impl Worker {
    pub(crate) fn start(place: usize, orders: &Orders) -> Self {
        let begin = now();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "worker", "--nocapture"])
            .env(ORDERS, orders.to_words())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let process =
            Process { number: orders.number, place, is_strict: orders.is_strict, begin, ..Process::default() };
        Self { input: child.stdin.take(), child, process, log: orders.log.clone().into() }
    }

    pub(crate) fn number(&self) -> usize {
        self.process.number
    }

    pub(crate) fn say(&mut self, word: &str) {
        if let Some(input) = &mut self.input {
            // It may just have been killed.
            let _ = writeln!(input, "{word}");
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(done.unwrap().success());
    }

    pub(crate) fn kill(&mut self) {
        // What it does until it is dead counts.
        self.process.killed = Some(now());
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.process.killed = Some(now());
    }

    /// It makes no more calls from now on.
    pub(crate) fn tell_to_stop(&mut self) {
        self.input = None;
    }

    /// Waits until it has, and takes in its log. Whether it came to an end is for the checker to see.
    pub(crate) fn end(mut self, history: &mut History) {
        let deadline = Instant::now() + PATIENCE;
        while self.process.killed.is_none() && self.child.try_wait().unwrap().is_none() && Instant::now() < deadline {
            sleep(Duration::from_millis(20));
        }
        let log = fs::read(&self.log).unwrap_or_default();
        history.add(std::mem::take(&mut self.process), &String::from_utf8_lossy(&log));
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
