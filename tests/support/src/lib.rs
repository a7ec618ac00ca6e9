//! A real `redis-server` for tests: its own process on a free loopback port, gone when its guard is dropped.
//!
//! ```no_run
//! use hybridcache_test_support::{RedisServer, Reply};
//!
//! let server = RedisServer::start();
//! server.command(&[b"SET", b"k", b"v"]);
//! assert_eq!(server.command(&[b"GET", b"k"]), Reply::Bulk(b"v".to_vec()));
//! server.kill(); // as a crash would
//! server.restart(); // same port, no data
//! assert_eq!(server.command(&[b"GET", b"k"]), Reply::Nil);
//! ```
//!
//! Between a client and the server a [`FaultProxy`] can delay, withhold, lose and cut. A test has other processes of itself
//! ([`worker`]), whose loads ask a [`database`] that counts them, and it waits for conditions ([`waiting`]).
//!
//! Everything here panics rather than returning errors: a test cannot go on without its server.

mod cluster;
pub mod database;
mod log;
mod proxy;
mod resp;
mod sentinels;
mod tls;
pub mod waiting;
pub mod worker;

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub use cluster::RedisCluster;
pub use log::log_of;
pub use proxy::{Direction, FaultProxy, Flow, Stranded};
pub use resp::Reply;
pub use sentinels::Sentinels;
pub use tls::Authority;

/// How long a server may take to answer its first `PING`, and any later command.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many ports are tried: each may be taken by somebody else between the choice and the start.
const ATTEMPTS: usize = 20;

/// A `redis-server` process of the test's own. Dropping it kills the process, also while a test panics.
///
/// All methods take `&self`, so one server can be shared by the tasks of a test.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    directory: PathBuf,
    arguments: Vec<String>,
    /// Of a sentinel.
    config: Option<String>,
    process: Mutex<Option<Child>>,
}

impl RedisServer {
    /// Starts a server without persistence and waits until it answers.
    ///
    /// # Panics
    ///
    /// Where `redis-server` is not installed or does not come up within ten seconds.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Like [`start`](Self::start), with more command line arguments: `&["--requirepass", "secret"]`.
    ///
    /// The methods of this type that talk to the server do not authenticate.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn start_with(arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let started = (0..ATTEMPTS).find_map(|_| Self::try_start(&arguments));
        started.unwrap_or_else(|| panic!("redis-server did not start on any of {ATTEMPTS} ports"))
    }

    /// `None` where a port was taken.
    pub(crate) fn try_start(arguments: &[String]) -> Option<Self> {
        Self::try_start_as(arguments, None)
    }

    pub(crate) fn try_start_sentinel(config: &str) -> Option<Self> {
        Self::try_start_as(&[], Some(config.to_owned()))
    }

    fn try_start_as(arguments: &[String], config: Option<String>) -> Option<Self> {
        let port = free_port();
        let directory = std::env::temp_dir().join(format!("hybridcache-redis-{}-{port}", std::process::id()));
        fs::create_dir_all(&directory).unwrap_or_else(|error| panic!("no directory {directory:?}: {error}"));
        let server = Self { port, directory, arguments: arguments.to_vec(), config, process: Mutex::new(None) };
        server.launch().then_some(server)
    }

    /// `redis://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port, the same over all restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills the process as a crash would (`SIGKILL`). Does nothing where it does not run.
    pub fn kill(&self) {
        if let Some(mut child) = self.process().take() {
            // Both fail only for a process that has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Kills the process where it runs and starts a new one on the same port, without data.
    ///
    /// # Panics
    ///
    /// Where the server does not come up again.
    pub fn restart(&self) {
        self.kill();
        let _ = fs::remove_file(self.directory.join(DUMP));
        assert!(self.launch(), "redis-server did not start again on port {}", self.port);
    }

    /// Kills the process and starts a new one on the same port with the data it had.
    ///
    /// # Panics
    ///
    /// Where the server does not run, or does not come up again.
    pub fn restart_with_data(&self) {
        assert_eq!(self.command(&[b"SAVE"]), Reply::Simple("OK".to_owned()));
        self.kill();
        assert!(self.launch(), "redis-server did not start again on port {}", self.port);
    }

    /// Starts a new process, where none runs, on the same port, with what the last one had saved.
    ///
    /// # Panics
    ///
    /// Where the server does not come up.
    pub fn start_again(&self) {
        assert!(self.launch(), "redis-server did not start again on port {}", self.port);
    }

    /// Stops the process (`SIGSTOP`): connections stay open and nobody answers.
    ///
    /// # Panics
    ///
    /// Where the server does not run.
    pub fn stop(&self) {
        self.signal("-STOP");
    }

    /// Lets a stopped process go on (`SIGCONT`).
    ///
    /// # Panics
    ///
    /// Where the server does not run.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// `CONFIG SET`.
    ///
    /// # Panics
    ///
    /// Where the server refuses the setting.
    pub fn config_set(&self, setting: &str, value: &str) {
        let reply = self.command(&[b"CONFIG", b"SET", setting.as_bytes(), value.as_bytes()]);
        assert_eq!(reply, Reply::Simple("OK".to_owned()), "CONFIG SET {setting} {value}");
    }

    /// Runs one command on a connection of its own. An error of the server is [`Reply::Error`].
    ///
    /// # Panics
    ///
    /// Where the server cannot be reached or does not answer within ten seconds.
    pub fn command(&self, words: &[&[u8]]) -> Reply {
        resp::call(self.port, words, PATIENCE)
            .unwrap_or_else(|error| panic!("redis-server on port {}: {error}", self.port))
    }

    /// How often a command ran since the start or [`reset_stats`](Self::reset_stats), calls from scripts included.
    ///
    /// The name is in lower case; a subcommand is written `client|list`.
    ///
    /// # Panics
    ///
    /// As [`command`](Self::command).
    pub fn command_calls(&self, name: &str) -> u64 {
        let stats = self.info("commandstats");
        let prefix = format!("cmdstat_{name}:calls=");
        let calls = stats.lines().find_map(|line| line.strip_prefix(&prefix)?.split(',').next()?.parse().ok());
        calls.unwrap_or(0)
    }

    /// One section of `INFO`.
    ///
    /// # Panics
    ///
    /// As [`command`](Self::command).
    pub fn info(&self, section: &str) -> String {
        match self.command(&[b"INFO", section.as_bytes()]) {
            Reply::Bulk(text) => String::from_utf8_lossy(&text).into_owned(),
            other => panic!("INFO {section}: {other:?}"),
        }
    }

    /// Sets the counts of [`command_calls`](Self::command_calls) to zero.
    ///
    /// # Panics
    ///
    /// As [`command`](Self::command).
    pub fn reset_stats(&self) {
        assert_eq!(self.command(&[b"CONFIG", b"RESETSTAT"]), Reply::Simple("OK".to_owned()));
    }

    /// All keys that match a pattern, sorted. Bytes that are no UTF-8 are replaced.
    ///
    /// # Panics
    ///
    /// As [`command`](Self::command).
    pub fn keys(&self, pattern: &str) -> Vec<String> {
        let Reply::Array(keys) = self.command(&[b"KEYS", pattern.as_bytes()]) else {
            panic!("KEYS {pattern} was refused");
        };
        let mut keys: Vec<String> = keys.into_iter().filter_map(Reply::into_text).collect();
        keys.sort();
        keys
    }

    /// `FLUSHALL`: no data, but scripts and connections stay.
    ///
    /// # Panics
    ///
    /// As [`command`](Self::command).
    pub fn flush(&self) {
        assert_eq!(self.command(&[b"FLUSHALL"]), Reply::Simple("OK".to_owned()));
    }

    /// Starts the process; `false` where it could not take the port.
    fn launch(&self) -> bool {
        let mut child = match &self.config {
            Some(config) => spawn_sentinel(self.port, &self.directory, config),
            None => spawn(self.port, &self.directory, &self.arguments),
        };
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Ok(Some(_)) = child.try_wait() {
                return false;
            }
            if self.answers(child.id()) {
                *self.process() = Some(child);
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        let _ = child.wait();
        panic!("redis-server on port {} did not answer within {PATIENCE:?}", self.port)
    }

    /// Whether that very process answers (somebody else's may have taken the port), be it only for a password.
    fn answers(&self, id: u32) -> bool {
        match resp::call(self.port, &[b"INFO", b"server"], Duration::from_millis(200)) {
            Ok(Reply::Bulk(text)) => String::from_utf8_lossy(&text).contains(&format!("process_id:{id}\r\n")),
            Ok(Reply::Error(error)) => error.starts_with("NOAUTH"),
            _ => false,
        }
    }

    fn signal(&self, signal: &str) {
        let process = self.process();
        let id = process.as_ref().map(Child::id).unwrap_or_else(|| panic!("redis-server does not run"));
        let done = Command::new("kill").args([signal, &id.to_string()]).status();
        assert!(done.is_ok_and(|status| status.success()), "kill {signal} {id} failed");
    }

    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        // A test that panicked elsewhere must still be able to kill its server.
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

const DUMP: &str = "dump.rdb";

fn spawn(port: u16, directory: &Path, arguments: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--daemonize", "no", "--loglevel", "warning"]);
    command.args(["--save", "", "--appendonly", "no", "--dbfilename", DUMP, "--dir"]).arg(directory);
    // A killed server's children must not write a dump behind the test's back.
    command.args(["--stop-writes-on-bgsave-error", "no"]).args(arguments);
    run(command)
}

/// A sentinel writes down what it learns, in its configuration.
fn spawn_sentinel(port: u16, directory: &Path, config: &str) -> Child {
    let file = directory.join("sentinel.conf");
    let place = format!("port {port}\nbind 127.0.0.1\ndir {}\n", directory.display());
    fs::write(&file, place + config).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    let mut command = Command::new("redis-server");
    command.arg(file).arg("--sentinel");
    run(command)
}

fn run(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            panic!("redis-server is not installed: run `bash tests/run`, or apt-get install redis-server")
        }
        _ => panic!("redis-server cannot be started: {error}"),
    })
}

/// A port below the range from which systems take ports for outgoing connections: while a test's server is down, nobody
/// else gets its port, and a client that tries to reconnect cannot be connected to itself.
fn free_port() -> u16 {
    loop {
        let random = RandomState::new().build_hasher().finish();
        let port = 10_000 + (random % 22_000) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

#[cfg(test)]
mod tests;
