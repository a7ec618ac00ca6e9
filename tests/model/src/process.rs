//! One process: `local.rs`, `stamps.rs`, `breaker.rs` and `journal.rs` of the runtime, with the link of
//! `redis/supervisor.rs`.

use crate::flight::{Flight, Joiner, Phase};
use crate::floor::{Due, Floors, Mode};
use crate::mutant::Mutant;
use crate::put::Putting;
use crate::redis::{Edition, Editions, Token, Wake};

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// The version of the function that it has.
    pub edition: Edition,
    pub link: Link,
    /// What the server sent and was not delivered yet.
    pub inbox: Vec<Message>,
    pub epoch: u8,
    pub stamp: Stamp,
    pub memory: Option<Held>,
    pub flights: Vec<Flight>,
    pub invalidating: Option<Invalidating>,
    pub putting: Option<Putting>,
    pub journal: Vec<Record>,
    /// Odd while open: nothing is asked of Redis. Counts reasons.
    pub breaker: u8,
    /// Up to which epoch what was acknowledged has been told once more.
    pub mended: u8,
    /// Which server it subscribed to last: how many failovers there had been.
    pub server: u8,
    pub recovery: Option<Attempt>,
    /// How often it asked for a lease.
    pub attempts: u8,
    pub floors: Floors,
}

/// The connections to Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    Up,
    /// Messages are lost; commands still work; nobody has noticed.
    Cut,
    Down,
}

/// What the server sends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// `last`: nothing more is to be told of it.
    Invalidated {
        mode: Mode,
        version: u8,
        last: bool,
    },
    /// The stamp has this number, which is not the one it had. `last`: the invalidation that this ends.
    Renumbered {
        number: u8,
        last: Option<(Mode, u8)>,
    },
    Woken(Wake),
}

/// The stamp as a process knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    pub generation: u8,
    /// Readings begun before are not taken in.
    pub voids: u8,
    /// The number, zero while it is not known.
    pub known: u8,
    /// The editions that it named.
    pub listed: Editions,
    /// It was read long ago.
    pub old: bool,
}

/// The stamp as it stood when something began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    pub generation: u8,
    pub voids: u8,
    pub number: u8,
}

/// What memory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    pub version: u8,
    /// Zero where it is not known that Redis has it.
    pub fence: Token,
    pub expired: bool,
    pub seen: Seen,
    pub epoch: u8,
}

/// An invalidation that Redis has not acknowledged yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Invalidating {
    pub mode: Mode,
    pub version: u8,
    pub stage: Stage,
    /// What the answer to its first command says that there is, beyond what that touched.
    pub rest: Rest,
    /// The stamp's number that it has read or created.
    pub found: u8,
}

/// What an invalidation has still to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rest {
    Nothing,
    /// These editions were not known.
    Touch(Editions),
    /// There is no stamp: it is created, and everybody hears its number.
    Renumber,
}

/// How far an invalidation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    Sent,
    /// The first of two commands.
    HalfExecuted,
    Executed,
    /// There is no answer, or an error.
    Failed,
    /// The first of two things was done about that: see [`Mutant::InvalidatesBeforeOpening`].
    HalfFailed,
}

/// An invalidation of the process's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    pub mode: Mode,
    pub version: u8,
    pub pending: bool,
}

/// What `recovery.rs` is about to do before it closes the breaker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// The breaker as it was found.
    pub reasons: u8,
    /// The epoch for which what was acknowledged is told once more, too.
    pub gap: Option<u8>,
    pub unsent: Vec<(Mode, u8)>,
}

/// What a call finds in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    Fresh(Held),
    Stale(Held),
    /// From before a gap, and Redis can be asked.
    Suspect(Held),
    Nothing,
}

impl Process {
    pub(crate) fn new(edition: Edition, editions: usize) -> Self {
        // As `Redis::new`.
        let (is_last, listed) = (edition == editions - 1, 1 << (editions - 1));
        Self {
            edition,
            link: Link::Up,
            inbox: Vec::new(),
            epoch: 0,
            stamp: Stamp { generation: 0, voids: 0, known: 1, listed, old: false },
            memory: None,
            flights: Vec::new(),
            invalidating: None,
            putting: None,
            journal: Vec::new(),
            breaker: 0,
            mended: 0,
            server: 0,
            recovery: None,
            attempts: u8::from(editions > 1 && is_last),
            floors: Floors::default(),
        }
    }

    pub(crate) fn is_untouched(&self, editions: usize) -> bool {
        *self == Self::new(self.edition, editions)
    }

    pub(crate) fn own(&self) -> Editions {
        1 << self.edition
    }

    pub(crate) fn is_linked(&self) -> bool {
        self.link != Link::Down
    }

    pub(crate) fn is_open(&self) -> bool {
        self.breaker % 2 == 1
    }

    /// Whether a flight may ask Redis.
    pub(crate) fn asks(&self) -> bool {
        self.is_linked() && !self.is_open()
    }

    pub(crate) fn open_breaker(&mut self) {
        self.breaker = (self.breaker + 2) | 1;
    }

    /// What a call finds in memory now.
    pub fn find(&self) -> Find {
        match self.memory.filter(|held| held.seen.generation == self.stamp.generation) {
            Some(held) if held.epoch != self.epoch && !self.is_open() => Find::Suspect(held),
            Some(held) if held.expired => Find::Stale(held),
            Some(held) => Find::Fresh(held),
            None => Find::Nothing,
        }
    }

    /// What memory holds from before a gap.
    pub(crate) fn suspect(&self) -> Option<Held> {
        self.memory.filter(|held| held.seen.generation == self.stamp.generation && held.epoch != self.epoch)
    }

    pub(crate) fn capture(&self, mutant: Option<Mutant>) -> Seen {
        let Stamp { generation, voids, old, .. } = self.stamp;
        Seen { generation, voids, number: if old { 0 } else { self.trusted(mutant) } }
    }

    /// The number, where it names the own edition.
    fn trusted(&self, mutant: Option<Mutant>) -> u8 {
        let is_registered = self.stamp.listed & self.own() != 0 || mutant == Some(Mutant::TrustsBeforeRegistering);
        if is_registered { self.stamp.known } else { 0 }
    }

    /// Takes in the stamp that was read for `seen`, unless something happened since.
    pub(crate) fn learn(&mut self, seen: &mut Seen, (number, listed): (u8, Editions), mutant: Option<Mutant>) {
        if self.stamp.voids != seen.voids && mutant != Some(Mutant::LearnsVoidedReadings) {
            return;
        }
        if self.stamp.known != 0 && self.stamp.known != number {
            // Nothing was read or loaded for `seen` that it does not compare with this number.
            if seen.generation == self.stamp.generation {
                seen.generation += 1;
            }
            self.stamp.generation += 1;
        }
        (self.stamp.known, self.stamp.listed, self.stamp.old) = (number, listed, false);
        seen.number = self.trusted(mutant);
    }

    /// Somebody created the stamp, be it this process; or an invalidation has found that it has this number.
    pub(crate) fn renumbered(&mut self, number: u8) {
        if self.stamp.known != 0 && self.stamp.known != number {
            self.void();
        }
    }

    fn void(&mut self) {
        self.stamp.generation += 1;
        self.forget();
    }

    pub(crate) fn forget(&mut self) {
        self.stamp.voids += 1;
        (self.stamp.known, self.stamp.listed, self.stamp.old) = (0, 0, false);
    }

    /// The flight that a call can join. One whose stamp was voided is detached.
    pub(crate) fn current(&mut self, mutant: Option<Mutant>) -> Option<usize> {
        let generation = self.stamp.generation;
        if mutant != Some(Mutant::JoinsVoidedFlight) {
            let voided = self.flights.iter_mut().filter(|flight| flight.seen.generation != generation);
            voided.for_each(|flight| flight.attached = false);
        }
        self.flights.iter().position(|flight| flight.attached)
    }

    pub(crate) fn start(&mut self, leader: Option<Due>, mutant: Option<Mutant>) {
        let seen = self.capture(mutant);
        self.flights.push(Flight::new(seen, leader));
    }

    pub(crate) fn join(&mut self, flight: usize, due: Due) {
        let flight = &mut self.flights[flight];
        let after_publish = matches!(flight.phase, Phase::Published { .. });
        flight.joiner = Some(Joiner { late: flight.is_loading(), after_publish, due });
    }

    /// What an invalidation does to memory and flights, its own or one that a message tells of.
    pub(crate) fn invalidate(&mut self, mode: Mode, mutant: Option<Mutant>, by_message: bool) {
        if mode == Mode::Restamp {
            return self.void();
        }
        self.putting.iter_mut().for_each(|putting| putting.attached = false);
        for flight in &mut self.flights {
            let unheard = match mutant {
                Some(Mutant::MessageLeavesFlight) => by_message,
                Some(Mutant::CaptureAfterGet) => flight.knows_nothing(),
                _ => false,
            };
            flight.attached &= unheard;
        }
        match (mode, &mut self.memory) {
            (Mode::Expire, Some(held)) => held.expired = true,
            (Mode::Expire, None) => {}
            (_, memory) => *memory = None,
        }
    }

    pub(crate) fn woken(&mut self, wake: Wake) {
        let registered = self.flights.iter_mut().filter(|flight| flight.registered);
        registered.for_each(|flight| flight.wake = Some(wake));
    }
}
