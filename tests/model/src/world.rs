//! The database, the server, the fleet, and what happens between them: writes, messages, commands that come late.

use crate::bounds::Bounds;
use crate::floor::Mode;
use crate::mutant::Mutant;
use crate::process::{Find, Invalidating, Link, Message, Process, Record, Rest, Stage};
use crate::promises::Broken;
use crate::put::Sent;
use crate::redis::{ALL, Acquired, EDITIONS, Edition, Editions, Redis, Stored, Token, Woken};

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
    /// `SET NX`
    Take {
        token: Token,
        process: usize,
    },
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
    pub(crate) fn new(processes: usize, editions: usize, mutant: Option<Mutant>) -> Self {
        Self {
            database: 0,
            redis: Redis::new(editions),
            replica: None,
            processes: (0..processes).map(|process| Process::new(process % editions, editions)).collect(),
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
        let mutant = self.mutant;
        let process = &mut self.processes[process];
        let redis = self.redis.told(process.edition, process.stamp.known);
        let is_hit = matches!(process.find(), Find::Stale(_));
        match process.current(mutant) {
            None if is_hit => process.start(None, mutant),
            Some(_) if is_hit => {}
            None => process.start(Some(process.floors.due(redis)), mutant),
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
        process.invalidating = Some(Invalidating { mode, version, stage, rest: Rest::Nothing, found: 0 });
    }

    /// The server executes what a process wrote: its first command, or the second.
    pub(crate) fn execute_invalidation(&mut self, process: usize) {
        let Some(Invalidating { mode, version, stage, rest, found }) = self.processes[process].invalidating else {
            return;
        };
        let (rest, found) = match (stage, rest) {
            (Stage::HalfExecuted, Rest::Touch(editions)) => {
                self.touch(process, mode, version, editions, true);
                (Rest::Nothing, found)
            }
            (Stage::HalfExecuted, _) => (Rest::Nothing, self.register(process, Some((mode, version))).0),
            _ => (self.begin_to_tell(process, mode, version), self.redis.stamp),
        };
        let stage = if rest == Rest::Nothing { Stage::Executed } else { Stage::HalfExecuted };
        self.processes[process].invalidating = Some(Invalidating { mode, version, stage, rest, found });
    }

    /// The server executes all of an invalidation and sends its messages.
    pub(crate) fn tell(&mut self, origin: usize, mode: Mode, version: u8) {
        match self.begin_to_tell(origin, mode, version) {
            Rest::Nothing => {}
            Rest::Touch(editions) => self.touch(origin, mode, version, editions, true),
            Rest::Renumber => drop(self.register(origin, Some((mode, version)))),
        }
    }

    /// Nobody waits for the answer: whatever the stamp names beside what the process knew is left to the journal.
    fn tell_late(&mut self, origin: usize, mode: Mode, version: u8) {
        let process = &self.processes[origin];
        let known = process.own() | process.stamp.listed;
        if mode == Mode::Restamp || self.redis.listed & !known == 0 {
            self.tell(origin, mode, version);
        } else {
            self.touch(origin, mode, version, known, false);
        }
    }

    /// What the process knows of is touched, and the stamp is read beside it.
    fn begin_to_tell(&mut self, origin: usize, mode: Mode, version: u8) -> Rest {
        if mode == Mode::Restamp {
            (self.redis.stamp, self.redis.listed) = (0, 0);
            self.touch(origin, mode, version, ALL, true);
            return Rest::Nothing;
        }
        let process = &self.processes[origin];
        let known = process.own() | process.stamp.listed;
        let others = self.redis.listed & !known;
        let rest = match others {
            _ if self.redis.stamp == 0 && !self.is(Mutant::IgnoresAbsentStamp) => Rest::Renumber,
            0 => Rest::Nothing,
            _ if self.is(Mutant::TouchesKnownEditions) => Rest::Nothing,
            others => Rest::Touch(others),
        };
        self.touch(origin, mode, version, known, rest == Rest::Nothing);
        // Nothing can be there of an edition that is not registered, and of one that is it is said to be gone.
        if self.redis.stamp != 0 {
            let untouched = match rest {
                Rest::Touch(others) => ALL & !known & !others,
                Rest::Nothing | Rest::Renumber => ALL & !known,
            };
            of(untouched).for_each(|edition| self.redis.editions[edition].untold.raise(mode, version));
        }
        rest
    }

    fn touch(&mut self, origin: usize, mode: Mode, version: u8, editions: Editions, last: bool) {
        if mode != Mode::Restamp {
            self.begin_generation();
        }
        for edition in of(editions) {
            let woken = self.redis.editions[edition].invalidate(mode, version, self.mutant);
            self.wake(woken);
        }
        self.send(origin, Message::Invalidated { mode, version, last });
    }

    /// Its own echo tells the process that sends it nothing new.
    fn send(&mut self, origin: usize, message: Message) {
        let others = self.processes.iter_mut().enumerate().filter(|(other, _)| *other != origin);
        others.for_each(|(_, other)| other.hear(message));
    }

    /// The server makes sure that the stamp exists and names the process's edition. `last`: the invalidation that this ends.
    pub(crate) fn register(&mut self, process: usize, last: Option<(Mode, u8)>) -> (u8, Editions) {
        let own = self.processes[process].own();
        if self.redis.stamp == 0 {
            self.numbers += 1;
            (self.redis.stamp, self.redis.listed) = (self.numbers, own);
            if !self.is(Mutant::CreatesSilently) {
                // To itself as well: whoever waits for the answer may go away.
                let message = Message::Renumbered { number: self.numbers, last };
                self.processes.iter_mut().for_each(|process| process.hear(message));
            }
        } else if self.is(Mutant::RegistersAlone) {
            self.redis.listed = own;
        } else {
            self.redis.listed |= own;
        }
        (self.redis.stamp, self.redis.listed)
    }

    /// The answer to an invalidation arrives.
    pub(crate) fn acknowledge(&mut self, process: usize) {
        let mutant = self.mutant;
        let process = &mut self.processes[process];
        let Some(Invalidating { mode, version, found, .. }) = process.invalidating.take() else { return };
        if mode != Mode::Restamp {
            process.renumbered(found);
        }
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
        let Some(failed @ Invalidating { mode, version, stage, .. }) = process.invalidating else { return };
        if mode != Mode::Restamp {
            process.forget();
        }
        match (stage == Stage::HalfFailed) == reversed {
            true => process.open_breaker(),
            false => process.invalidate(mode, mutant, false),
        }
        if stage == Stage::HalfFailed {
            process.invalidating = None;
            process.floors.pending.raise(mode, version);
        } else {
            process.invalidating = Some(Invalidating { stage: Stage::HalfFailed, ..failed });
        }
    }

    /// The caller goes away before it has an answer.
    pub(crate) fn abandon(&mut self, process: usize) {
        let holder = &mut self.processes[process];
        let given_up = holder.invalidating.take();
        holder.open_breaker();
        if let Some(Invalidating { mode, version, stage: Stage::Sent, .. }) = given_up {
            self.send_late(Late::Invalidate { process, mode, version });
        }
    }

    /// The oldest message reaches a process.
    pub(crate) fn deliver(&mut self, process: usize) {
        let mutant = self.mutant;
        let process = &mut self.processes[process];
        match process.inbox.remove(0) {
            Message::Woken(wake) => process.woken(wake),
            Message::Invalidated { mode, version, last } => {
                process.invalidate(mode, mutant, true);
                if last {
                    process.floors.heard.raise(mode, version);
                }
            }
            Message::Renumbered { number, last } => {
                process.renumbered(number);
                last.iter().for_each(|(mode, version)| process.floors.heard.raise(*mode, *version));
            }
        }
    }

    pub(crate) fn wake(&mut self, (waiters, wake): Woken) {
        let woken = self.processes.iter_mut().enumerate().filter(|(process, _)| waiters & (1 << process) != 0);
        woken.for_each(|(_, process)| process.hear(Message::Woken(wake)));
    }

    /// The server publishes, behind the fence.
    pub(crate) fn publish(&mut self, entry: Stored) -> bool {
        let edition = self.edition_of(entry.fence);
        let before = self.redis.editions[edition].clone();
        let held = before.lease.as_ref().is_some_and(|lease| lease.token == entry.fence);
        let (stored, woken) = self.redis.editions[edition].publish(entry, self.mutant);
        if !held && self.redis.editions[edition] != before {
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
            Late::Take { token, process } => {
                self.take_lease(token, process);
            }
            Late::Acquire { token, process } => {
                self.acquire(token, 0, process);
            }
            Late::Publish(fence, version, stamp) => {
                self.publish(Stored { version, fence, expired: false, stamp });
            }
            Late::Release(token, loaded) => {
                let edition = self.edition_of(token);
                let woken = self.redis.editions[edition].release(token, loaded, self.mutant);
                self.wake(woken);
            }
            Late::Seize(sent) => self.seize(sent),
            Late::Put(sent) => {
                self.publish_put(sent);
            }
            Late::Invalidate { process, mode, version } => self.tell_late(process, mode, version),
        }
    }

    /// The server executes `SET NX`. In which generation the lease is granted, if it is.
    pub(crate) fn take_lease(&mut self, token: Token, process: usize) -> Option<u8> {
        let (edition, generation) = (self.processes[process].edition, self.redis.generation);
        self.redis.editions[edition].take(token, generation, self.mutant)
    }

    /// The server grants the lease of the process's edition, or does not.
    pub(crate) fn acquire(&mut self, token: Token, seen: Token, process: usize) -> Acquired {
        let (edition, generation) = (self.processes[process].edition, self.redis.generation);
        self.redis.editions[edition].acquire(token, seen, (process, generation), self.mutant)
    }

    /// Of the process that has drawn a token.
    fn edition_of(&self, token: Token) -> Edition {
        self.processes[usize::from((token - 1) / 64)].edition
    }
}

fn of(editions: Editions) -> impl Iterator<Item = Edition> {
    (0..EDITIONS).filter(move |edition| editions & (1 << edition) != 0)
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
