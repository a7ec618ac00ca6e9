//! Another process of the fleet, told what to do over its standard input.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use tokio::sync::oneshot;

use crate::database::Item;
use crate::waiting::within;

/// Where the worker finds its Redis and its database.
pub(crate) const REDIS: &str = "HYBRIDCACHE_TEST_WORKER_REDIS";
pub(crate) const DATABASE: &str = "HYBRIDCACHE_TEST_WORKER_DATABASE";

/// Stands before each answer, to tell it from what the test harness prints. Then: number, space, text.
pub(crate) const ANSWER: char = '@';

pub(crate) struct Process {
    child: Child,
    requests: Mutex<Requests>,
    pending: Pending,
}

struct Requests {
    input: ChildStdin,
    count: u64,
}

/// `None` once the process has ended.
type Pending = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<String>>>>>;

impl Process {
    pub(crate) fn start(redis: &str, database: u16) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "worker", "--nocapture"])
            .env(REDIS, redis)
            .env(DATABASE, database.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pending: Pending = Arc::new(Mutex::new(Some(HashMap::new())));
        let (output, answers) = (child.stdout.take().unwrap(), pending.clone());
        thread::spawn(move || receive(output, &answers));
        let requests = Mutex::new(Requests { input: child.stdin.take().unwrap(), count: 0 });
        Self { child, requests, pending }
    }

    /// Sends a request now; the future is its answer. Requests are carried out concurrently.
    pub(crate) fn ask<R: Into<String>>(&self, request: R) -> impl Future<Output = String> + Send + 'static + use<R> {
        let (sender, answer) = oneshot::channel();
        let request: String = request.into();
        {
            let mut requests = self.requests.lock().unwrap();
            requests.count += 1;
            let number = requests.count;
            self.pending.lock().unwrap().as_mut().expect("the process runs").insert(number, sender);
            writeln!(requests.input, "{number} {request}").unwrap();
        }
        async move {
            let answer = within(&request, answer).await;
            answer.unwrap_or_else(|_| panic!("the process ended before it answered {request:?}"))
        }
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

    /// As a crash would.
    pub(crate) fn kill(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(done.unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
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

fn receive(output: ChildStdout, answers: &Pending) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        // The harness ends no line before it runs the test.
        let Some((_, answer)) = line.split_once(ANSWER) else { continue };
        let (number, text) = answer.split_once(' ').unwrap();
        let sender = answers.lock().unwrap().as_mut().and_then(|pending| pending.remove(&number.parse().unwrap()));
        // Nobody may wait any more.
        sender.map(|sender| sender.send(text.to_owned()));
    }
    *answers.lock().unwrap() = None;
}
