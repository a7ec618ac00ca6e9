//! Another process of the fleet, with a shop of its own.

use std::ops::{Deref, DerefMut};

use hybridcache_test_support::worker::WorkerProcess;

use crate::database::Item;

pub(crate) struct Process(WorkerProcess);

impl Process {
    /// The process runs the test of that name, which calls `run_worker`.
    pub(crate) fn start(worker: &str, redis: &str, database: u16) -> Self {
        Self(WorkerProcess::start(worker, &[redis, &database.to_string()]))
    }

    /// Calls `Shop::item`.
    pub(crate) fn item(&self, id: u64) -> impl Future<Output = Item> + Send + 'static + use<> {
        let answer = self.ask(format!("item {id}"));
        async move { parse(&answer.await) }
    }

    /// One of the process's counters over all functions, by its name in `Stats`.
    pub(crate) async fn stat(&self, name: &str) -> u64 {
        let stats = self.ask("stats").await;
        let (_, rest) = stats.split_once(&format!(" {name}: ")).unwrap();
        rest.split([',', ' ']).next().unwrap().parse().unwrap()
    }
}

impl Deref for Process {
    type Target = WorkerProcess;

    fn deref(&self) -> &WorkerProcess {
        &self.0
    }
}

impl DerefMut for Process {
    fn deref_mut(&mut self) -> &mut WorkerProcess {
        &mut self.0
    }
}

/// What a process answers to a call: the item's fields.
pub(crate) fn parse(answer: &str) -> Item {
    let numbers: Result<Vec<u64>, _> = answer.split(' ').map(str::parse).collect();
    match numbers.as_deref() {
        Ok(&[id, load, version]) => Item { id, load, version },
        _ => panic!("no item: {answer:?}"),
    }
}
