//! The database, the server, the fleet, and what happens between them: writes, messages, commands that come late.

use crate::bounds::Bounds;
use crate::floor::Mode;
use crate::mutant::Mutant;
use crate::process::{Find, Invalidating, Link, Message, Process, Record, Stage};
use crate::promises::Broken;
use crate::put::Sent;
use crate::redis::{Redis, Stored, Token, Woken};

/// One state of the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// The version that a load reads.
    pub database: u8,
    /// The server.
    pub redis: Redis,
    /// What a replica has of it.
    pub replica: Option<Redis>,
    /// The fleet.
    pub processes: Vec<Process>,
    /// Commands that nobody waits for any more.
    pub late: Vec<Late>,
    /// What has happened.
    pub spent: Bounds,
    /// The last number that a stamp was given.
    pub numbers: u8,
    /// The last generation of a lease.
    pub generations: u8,
    /// What a step did that none may do.
    pub broken: Option<Broken>,
    /// Constant in one run.
    pub mutant: Option<Mutant>,
}

/// A command whose sender has gone on. It is executed at any time, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Late {
    Acquire {
        token: Token,
        process: usize,
    },
    Publish(Token, u8, u8),
    /// Whether a load has ended under it.
    Release(Token, bool),
    /// The first step of a put.
    Seize(Sent),
    /// The second.
    Put(Sent),
    Invalidate {
        process: usize,
        mode: Mode,
        version: u8,
    },
}

impl World {
    pub(crate) fn new(processes: usize, mutant: Option<Mutant>) -> Self {
        Self {
            database: 0,
            redis: Redis::new(),
            replica: None,
            processes: vec![Process::new(); processes],
            late: Vec::new(),
            spent: Bounds::NONE,
            numbers: 1,
            generations: 0,
            broken: None,
            mutant,
        }
    }

    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// A call that memory alone does not settle.
    pub(crate) fn call(&mut self, process: usize) {
        let (mutant, redis) = (self.mutant, self.redis.floor);
        let process = &mut self.processes[process];
        let is_hit = matches!(process.find(), Find::Stale(_));
        match process.current(mutant) {
            None if is_hit => process.start(None),
            Some(_) if is_hit => {}
            None => process.start(Some(process.floors.due(redis))),
            Some(flight) => process.join(flight, process.floors.due(redis)),
        }
    }

    /// Whether a call would do anything: it may be one joiner too many.
    pub(crate) fn can_call(&self, process: usize) -> bool {
        let process = &self.processes[process];
        let generation = process.stamp.generation;
        let current = process.flights.iter().find(|flight| {
            flight.attached && (flight.seen.generation == generation || self.is(Mutant::JoinsVoidedFlight))
        });
        match process.find() {
            Find::Fresh(_) => false,
            Find::Stale(_) => current.is_none(),
            Find::Suspect(_) | Find::Nothing => current.is_none_or(|flight| flight.joiner.is_none()),
        }
    }

    /// Somebody writes to the database and then invalidates.
    pub(crate) fn write(&mut self, process: usize, mode: Mode) {
        self.database += 1;
        let (version, mutant) = (self.database, self.mutant);
        let process = &mut self.processes[process];
        process.invalidate(mode, mutant, false);
        process.journal.push(Record { mode, version, pending: true });
        // The breaker does not hold up what is to be told.
        let stage = if process.is_linked() { Stage::Sent } else { Stage::Failed };
        process.invalidating = Some(Invalidating { mode, version, stage });
    }

    /// The server executes what a process wrote.
    pub(crate) fn execute_invalidation(&mut self, process: usize) {
        if let Some(running) = &mut self.processes[process].invalidating {
            running.stage = Stage::Executed;
            let Invalidating { mode, version, .. } = *running;
            self.tell(process, mode, version);
        }
    }

    /// The server executes an invalidation and sends its messages.
    pub(crate) fn tell(&mut self, origin: usize, mode: Mode, version: u8) {
        match mode {
            Mode::Restamp => self.numbers += 1,
            Mode::Delete | Mode::Expire => self.begin_generation(),
        }
        let woken = self.redis.invalidate(mode, version, self.numbers, self.mutant);
        self.wake(woken);
        let others = self.processes.iter_mut().enumerate().filter(|(other, _)| *other != origin);
        others.for_each(|(_, other)| other.hear(Message::Invalidated(mode, version)));
    }

    /// The answer to an invalidation arrives.
    pub(crate) fn acknowledge(&mut self, process: usize) {
        let mutant = self.mutant;
        let process = &mut self.processes[process];
        let Some(Invalidating { mode, version, .. }) = process.invalidating.take() else { return };
        let once = match mode {
            Mode::Restamp => Mutant::OriginVoidsOnce,
            Mode::Delete | Mode::Expire => Mutant::OriginInvalidatesOnce,
        };
        if mutant != Some(once) {
            process.invalidate(mode, mutant, false);
        }
        process.note_acknowledged(mode, version);
    }

    /// There will be no answer, or it is an error. Two steps: the breaker opens; memory is invalidated once more, and the
    /// caller is told that it is pending.
    pub(crate) fn fail_invalidation(&mut self, process: usize) {
        let (mutant, reversed) = (self.mutant, self.is(Mutant::InvalidatesBeforeOpening));
        let process = &mut self.processes[process];
        let Some(Invalidating { mode, version, stage }) = process.invalidating else { return };
        match (stage == Stage::HalfFailed) == reversed {
            true => process.open_breaker(),
            false => process.invalidate(mode, mutant, false),
        }
        if stage == Stage::HalfFailed {
            process.invalidating = None;
            process.floors.pending.raise(mode, version);
        } else {
            process.invalidating = Some(Invalidating { mode, version, stage: Stage::HalfFailed });
        }
    }

    /// The caller goes away before it has an answer.
    pub(crate) fn abandon(&mut self, process: usize) {
        let holder = &mut self.processes[process];
        let given_up = holder.invalidating.take();
        holder.open_breaker();
        if let Some(Invalidating { mode, version, stage: Stage::Sent }) = given_up {
            self.send_late(Late::Invalidate { process, mode, version });
        }
    }

    /// The oldest message reaches a process.
    pub(crate) fn deliver(&mut self, process: usize) {
        let mutant = self.mutant;
        let process = &mut self.processes[process];
        match process.inbox.remove(0) {
            Message::Woken(wake) => process.woken(wake),
            Message::Invalidated(mode, version) => {
                process.invalidate(mode, mutant, true);
                process.floors.heard.raise(mode, version);
            }
        }
    }

    pub(crate) fn wake(&mut self, (waiters, wake): Woken) {
        let woken = self.processes.iter_mut().enumerate().filter(|(process, _)| waiters & (1 << process) != 0);
        woken.for_each(|(_, process)| process.hear(Message::Woken(wake)));
    }

    /// The server publishes, behind the fence.
    pub(crate) fn publish(&mut self, entry: Stored) -> bool {
        let before = self.redis.clone();
        let held = before.lease.as_ref().is_some_and(|lease| lease.token == entry.fence);
        let (stored, woken) = self.redis.publish(entry, self.mutant);
        if !held && self.redis != before {
            self.broken = Some(Broken::LostTokenPublished);
        }
        self.wake(woken);
        stored
    }

    pub(crate) fn begin_generation(&mut self) {
        self.generations += 1;
        self.redis.generation = self.generations;
    }

    pub(crate) fn send_late(&mut self, command: Late) {
        self.late.push(command);
        // What came first does not matter: they are executed in any order.
        self.late.sort_unstable();
    }

    pub(crate) fn execute_late(&mut self, place: usize) {
        match self.late.remove(place) {
            Late::Acquire { token, process } => {
                self.redis.acquire(token, 0, process, self.mutant);
            }
            Late::Publish(fence, version, stamp) => {
                self.publish(Stored { version, fence, expired: false, stamp });
            }
            Late::Release(token, loaded) => {
                let woken = self.redis.release(token, loaded, self.mutant);
                self.wake(woken);
            }
            Late::Seize(sent) => self.seize(sent),
            Late::Put(sent) => {
                self.publish_put(sent);
            }
            Late::Invalidate { process, mode, version } => self.tell(process, mode, version),
        }
    }
}

impl Process {
    pub(crate) fn note_acknowledged(&mut self, mode: Mode, version: u8) {
        self.journal_is_told(version);
        self.floors.own.raise(mode, version);
    }

    pub(crate) fn journal_is_told(&mut self, version: u8) {
        let record = self.journal.iter_mut().find(|record| record.version == version);
        record.into_iter().for_each(|record| record.pending = false);
    }

    fn hear(&mut self, message: Message) {
        if self.link == Link::Up {
            self.inbox.push(message);
        }
    }
}
