//! One round: a fleet is started, the plan carried out, the fleet ended and its history collected.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use hybridcache_test_support::{FaultProxy, RedisServer, Reply};

use crate::history::{Fault, Harm, History, MILLISECOND, Micros, SECOND, Span, now};
use crate::plan::{Deed, PLACES, plan};
use crate::process::Worker;
use crate::worker::{CALM, Orders, STORM};

pub(crate) struct Round {
    seed: u64,
    pub(crate) redis: RedisServer,
    /// Held while a thread does something to the server.
    pub(crate) alone: Mutex<()>,
    database: RedisServer,
    pub(crate) proxies: Vec<FaultProxy>,
    pub(crate) workers: Vec<Mutex<Worker>>,
    ended: Mutex<Vec<Worker>>,
    pub(crate) faults: Mutex<Vec<Fault>>,
    leaks: Mutex<Vec<String>>,
    started: AtomicU64,
    is_over: AtomicBool,
    directory: Directory,
}

pub(crate) struct Outcome {
    pub(crate) history: History,
    /// What was found in Redis that should not have been there.
    pub(crate) leaks: Vec<String>,
    pub(crate) directory: Directory,
}

/// Where the logs are, unless they are kept as long as this is.
pub(crate) struct Directory(Option<PathBuf>);

/// How long a lease lives.
const LEASE: Micros = 3 * SECOND;

/// How long a stage does.
const STAGE: Micros = 30 * SECOND;

impl Round {
    pub(crate) fn new(seed: u64) -> Self {
        let redis = RedisServer::start();
        let proxies: Vec<_> = (0..PLACES).map(|_| FaultProxy::start(redis.port())).collect();
        let mut round = Self {
            seed,
            redis,
            alone: Mutex::default(),
            database: RedisServer::start(),
            proxies,
            workers: Vec::new(),
            ended: Mutex::default(),
            faults: Mutex::default(),
            leaks: Mutex::default(),
            started: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            directory: Directory::new(seed),
        };
        round.workers = (0..PLACES).map(|place| Mutex::new(round.start(place))).collect();
        round
    }

    /// Every other one is strict; some have room for less than there is; two only read, so that there are some without a
    /// journal that empties Redis whenever they reconnect.
    fn start(&self, place: usize) -> Worker {
        let number = self.started.fetch_add(1, SeqCst);
        let orders = Orders {
            number: number as usize,
            redis: self.proxies[place].url(),
            database: self.database.port(),
            log: self.directory.path().join(format!("{number}.log")).to_str().unwrap().to_owned(),
            seed: self.seed.wrapping_mul(1000) + number,
            entries: if place % 4 >= 2 { 1000 } else { 12 },
            is_strict: place % 2 == 1,
            changes: place < PLACES - 2,
        };
        Worker::start(place, &orders)
    }

    pub(crate) fn run(self, length: Micros) -> Outcome {
        let begin = now();
        thread::scope(|scope| {
            scope.spawn(|| self.feel_pulse());
            for planned in plan(self.seed, length) {
                sleep_until(begin + planned.span.begin);
                let end = begin + planned.span.end;
                let this = &self;
                scope.spawn(move || this.carry_out(planned.deed, end));
            }
            sleep_until(begin + length);
            self.is_over.store(true, SeqCst);
        });
        self.end()
    }

    fn carry_out(&self, deed: Deed, end: Micros) {
        match deed {
            Deed::Storm => {
                self.say(STORM);
                sleep_until(end);
                self.say(CALM);
            }
            Deed::To(place, local) => self.harm(place, local, end),
            Deed::Redis(global) => self.harm_redis(global, end),
            Deed::Inspect => self.inspect(),
        }
    }

    fn say(&self, word: &str) {
        self.workers.iter().for_each(|worker| worker.lock().unwrap().say(word));
    }

    pub(crate) fn worker(&self, place: usize) -> MutexGuard<'_, Worker> {
        self.workers[place].lock().unwrap()
    }

    /// In the place of one that was killed. It begins calmly.
    pub(crate) fn replace(&self, place: usize) {
        let killed = std::mem::replace(&mut *self.worker(place), self.start(place));
        self.ended.lock().unwrap().push(killed);
    }

    /// Where this process did not run, Redis' network did not work.
    fn feel_pulse(&self) {
        while !self.is_over.load(SeqCst) {
            let begin = now();
            thread::sleep(Duration::from_millis(50));
            let span = Span { begin, end: now() };
            if span.length() > 200 * MILLISECOND {
                self.faults.lock().unwrap().push(Fault { what: Harm::Stopped, place: None, span });
            }
        }
    }

    /// I11: what is there has a time to live.
    fn inspect(&self) {
        let _alone = self.alone.lock().unwrap();
        let limits = [("*:l", LEASE), ("*:s:*", STAGE)];
        for (pattern, limit) in limits {
            for key in self.redis.keys(pattern) {
                let left = self.redis.command(&[b"PTTL", key.as_bytes()]);
                let Reply::Integer(left) = left else { panic!("PTTL {key}: {left:?}") };
                // -2: it has gone meanwhile. -1: it never will.
                if left == -1 || left > (limit / MILLISECOND) as i64 {
                    self.leaks.lock().unwrap().push(format!("I11: {key} has {left} ms to live"));
                }
            }
        }
    }

    /// I11: when nobody loads any more no lease is left, be it that of a process that was killed.
    fn await_leases(&self) {
        let deadline = now() + LEASE + SECOND;
        loop {
            let leases = self.redis.keys("*:l");
            match leases.is_empty() {
                true => return,
                false if now() > deadline => {
                    return self.leaks.lock().unwrap().push(format!("I11: left over: {leases:?}"));
                }
                false => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    fn end(mut self) -> Outcome {
        self.workers.iter().for_each(|worker| worker.lock().unwrap().tell_to_stop());
        let mut history = History::default();
        let workers = std::mem::take(&mut self.workers).into_iter().map(|worker| worker.into_inner().unwrap());
        let ended = std::mem::take(&mut *self.ended.lock().unwrap());
        let mut all: Vec<Worker> = ended.into_iter().chain(workers).collect();
        all.sort_by_key(Worker::number);
        all.into_iter().for_each(|worker| worker.end(&mut history));
        self.await_leases();
        self.inspect();
        history.faults = std::mem::take(&mut self.faults.lock().unwrap());
        let leaks = std::mem::take(&mut *self.leaks.lock().unwrap());
        Outcome { history, leaks, directory: self.directory }
    }
}

impl Directory {
    fn new(seed: u64) -> Self {
        let path = std::env::temp_dir().join(format!("hybridcache-chaos-{}-{seed}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(Some(path))
    }

    fn path(&self) -> &Path {
        self.0.as_ref().unwrap()
    }

    pub(crate) fn keep(mut self) -> PathBuf {
        self.0.take().unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

pub(crate) fn sleep_until(moment: Micros) {
    thread::sleep(Duration::from_micros(moment.saturating_sub(now())));
}
