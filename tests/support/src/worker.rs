//! Other processes of a test: its own executable, started again.
//!
//! ```no_run
//! use hybridcache_test_support::worker::{WorkerProcess, run_worker, serve_requests};
//!
//! // In a test file: `#[test] fn worker()`. A process that nobody started as a worker passes it at once.
//! fn worker() {
//!     run_worker(async |[greeting]: [String; 1]| {
//!         serve_requests(|name| {
//!             let greeting = greeting.clone();
//!             async move { format!("{greeting} {name}") }
//!         })
//!         .await;
//!     });
//! }
//!
//! # async fn test() {
//! let process = WorkerProcess::start("worker", &["good morning"]);
//! assert_eq!(process.ask("Ada").await, "good morning Ada");
//! # }
//! ```
//!
//! The protocol: a line on the worker's standard input is `<number> <request>`, one on its standard output `@<number> <answer>`.
//! Requests are carried out concurrently. The end of the input asks the worker to end.

use std::collections::HashMap;
use std::env;
use std::io::{BufRead, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::sync::oneshot;

use crate::waiting::{holds_within, within};

/// The environment variable with a worker's settings, one a line.
const SETTINGS: &str = "HYBRIDCACHE_TEST_WORKER";

/// Begins each answer, to distinguish it from the lines that libtest prints.
const ANSWER: char = '@';

/// A running worker. Dropping it kills the process, also while a test panics.
#[derive(Debug)]
pub struct WorkerProcess {
    child: Child,
    requests: Mutex<Requests>,
    pending: Pending,
}

#[derive(Debug)]
struct Requests {
    /// `None` once it was closed.
    input: Option<ChildStdin>,
    count: u64,
}

/// Who waits for which answer. `None` once the process has ended.
type Pending = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<String>>>>>;

impl WorkerProcess {
    /// Starts this test executable again, for the one test of that name, which calls [`run_worker`].
    ///
    /// # Panics
    ///
    /// Where the process cannot be started.
    pub fn start(test: &str, settings: &[&str]) -> Self {
        Self::start_with(&["--exact", test, "--nocapture"], settings)
    }

    /// Starts this executable again where it is no libtest harness (a benchmark): its `main` calls [`run_worker`].
    ///
    /// # Panics
    ///
    /// Where the process cannot be started.
    pub fn start_program(settings: &[&str]) -> Self {
        Self::start_with(&[], settings)
    }

    fn start_with(arguments: &[&str], settings: &[&str]) -> Self {
        let executable = env::current_exe().unwrap_or_else(|error| panic!("no path of this executable: {error}"));
        let mut command = Command::new(executable);
        command.args(arguments).env(SETTINGS, settings.join("\n"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("a worker cannot be started: {error}"));
        let pending: Pending = Arc::new(Mutex::new(Some(HashMap::new())));
        if let Some(output) = child.stdout.take() {
            let pending = pending.clone();
            thread::spawn(move || receive(output, &pending));
        }
        let requests = Mutex::new(Requests { input: child.stdin.take(), count: 0 });
        Self { child, requests, pending }
    }

    /// Sends a request now; the future is its answer.
    ///
    /// # Panics
    ///
    /// Where the process has ended, or does not answer within 20 seconds.
    pub fn ask<R: Into<String>>(&self, request: R) -> impl Future<Output = String> + Send + 'static + use<R> {
        let (sender, answer) = oneshot::channel();
        let request = request.into();
        assert!(self.send(&request, Some(sender)), "the process has ended, and cannot be asked {request:?}");
        async move {
            let answer = within(&request, answer).await;
            answer.unwrap_or_else(|_| panic!("the process ended before it answered {request:?}"))
        }
    }

    /// Sends a request whose answer nobody wants. A process that has ended does not get it.
    pub fn tell(&self, request: &str) {
        self.send(request, None);
    }

    /// Returns whether the process was running.
    fn send(&self, request: &str, sender: Option<oneshot::Sender<String>>) -> bool {
        let mut requests = lock(&self.requests);
        requests.count += 1;
        let number = requests.count;
        match (lock(&self.pending).as_mut(), sender) {
            (None, _) => return false,
            (Some(pending), Some(sender)) => drop(pending.insert(number, sender)),
            (Some(_), None) => {}
        }
        requests.input.as_mut().is_some_and(|input| writeln!(input, "{number} {request}").is_ok())
    }

    /// Kills the process as a crash would (`SIGKILL`).
    pub fn kill(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Stops the process (`SIGSTOP`).
    ///
    /// # Panics
    ///
    /// Where it has ended.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets a stopped process go on (`SIGCONT`).
    ///
    /// # Panics
    ///
    /// Where it has ended.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(done.is_ok_and(|status| status.success()), "kill {signal} {} failed", self.child.id());
    }

    /// Asks the process to end.
    pub fn close_input(&mut self) {
        lock(&self.requests).input = None;
    }

    /// Whether the process ends by itself within that time.
    pub fn ends_within(&mut self, patience: Duration) -> bool {
        holds_within(patience, || !matches!(self.child.try_wait(), Ok(None)))
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

fn receive(output: ChildStdout, pending: &Mutex<Option<HashMap<u64, oneshot::Sender<String>>>>) {
    for line in std::io::BufReader::new(output).lines().map_while(Result::ok) {
        // libtest ends no line before it runs the test.
        let answer = line.split_once(ANSWER).and_then(|(_, answer)| answer.split_once(' '));
        let Some((Ok(number), text)) = answer.map(|(number, text)| (number.parse(), text)) else { continue };
        let sender = lock(pending).as_mut().and_then(|pending| pending.remove(&number));
        // The one that asked may have gone.
        sender.map(|sender: oneshot::Sender<_>| sender.send(text.to_owned()));
    }
    *lock(pending) = None;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that panicked elsewhere must still be able to kill its processes.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this process was started as a worker.
pub fn is_worker() -> bool {
    env::var_os(SETTINGS).is_some()
}

/// The whole life of a worker: runs `work` with its settings, on a runtime with two threads. Returns at once where this process
/// was not started as a worker.
///
/// # Panics
///
/// Where there are more or fewer settings.
pub fn run_worker<const N: usize>(work: impl AsyncFnOnce([String; N])) {
    let Ok(settings) = env::var(SETTINGS) else { return };
    let settings: Vec<String> = settings.split('\n').map(str::to_owned).collect();
    let settings = settings.try_into().unwrap_or_else(|settings| panic!("these are not {N} settings: {settings:?}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap_or_else(|error| panic!("no runtime: {error}")).block_on(work(settings));
}

/// Answers requests until the input ends. `answer` is called in the order of the requests; the futures that it returns run
/// concurrently.
///
/// # Panics
///
/// On a line that is no request.
pub async fn serve_requests<A>(mut answer: impl FnMut(String) -> A)
where
    A: Future<Output = String> + Send + 'static,
{
    let mut lines = BufReader::new(stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let (number, request) = line.split_once(' ').unwrap_or_else(|| panic!("no request: {line:?}"));
        let (number, answer) = (number.to_owned(), answer(request.to_owned()));
        tokio::spawn(async move {
            let answer = answer.await;
            println!("{ANSWER}{number} {answer}");
        });
    }
}
