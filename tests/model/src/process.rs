//! One process: `hybridcache-runtime/src/local.rs` and `stamps.rs`, with the link of `redis/supervisor.rs`.

use crate::flight::{Flight, Joiner, Phase};
use crate::floor::{Due, Floors, Mode};
use crate::mutant::Mutant;
use crate::redis::{Token, Wake};

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    pub link: Link,
    /// What the server sent and was not delivered yet.
    pub inbox: Vec<Message>,
    pub epoch: u8,
    pub stamp: Stamp,
    pub memory: Option<Held>,
    pub flights: Vec<Flight>,
    pub invalidating: Option<Invalidating>,
    pub journal: Vec<Record>,
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
    /// Messages arrive again; what the journal holds is being replayed; no command is taken.
    Replaying,
}

/// What the server sends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    Invalidated(Mode, u8),
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
    pub executed: bool,
}

/// An invalidation of the process's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    pub mode: Mode,
    pub version: u8,
    pub acknowledged: bool,
    pub to_replay: bool,
}

/// What a call finds in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    Fresh(Held),
    Stale(Held),
    /// From before a gap.
    Suspect(Held),
    Nothing,
}

impl Process {
    pub(crate) fn new() -> Self {
        Self {
            link: Link::Up,
            inbox: Vec::new(),
            epoch: 0,
            stamp: Stamp { generation: 0, voids: 0, known: 1, old: false },
            memory: None,
            flights: Vec::new(),
            invalidating: None,
            journal: Vec::new(),
            attempts: 0,
            floors: Floors::default(),
        }
    }

    pub(crate) fn takes_commands(&self) -> bool {
        matches!(self.link, Link::Up | Link::Cut)
    }

    pub(crate) fn hears(&self) -> bool {
        matches!(self.link, Link::Up | Link::Replaying)
    }

    /// What a call finds in memory now.
    pub fn find(&self) -> Find {
        match self.memory.filter(|held| held.seen.generation == self.stamp.generation) {
            Some(held) if held.epoch != self.epoch => Find::Suspect(held),
            Some(held) if held.expired => Find::Stale(held),
            Some(held) => Find::Fresh(held),
            None => Find::Nothing,
        }
    }

    pub(crate) fn capture(&self) -> Seen {
        let Stamp { generation, voids, known, old } = self.stamp;
        Seen { generation, voids, number: if old { 0 } else { known } }
    }

    /// Takes in the number that was read for `seen`, unless something happened since.
    pub(crate) fn learn(&mut self, seen: &mut Seen, number: u8, mutant: Option<Mutant>) {
        if self.stamp.voids != seen.voids && mutant != Some(Mutant::LearnsVoidedReadings) {
            return;
        }
        if self.stamp.known != 0 && self.stamp.known != number {
            self.stamp.generation += 1;
        }
        (self.stamp.known, self.stamp.old) = (number, false);
        seen.number = number;
    }

    fn void(&mut self) {
        self.stamp.generation += 1;
        self.forget();
    }

    pub(crate) fn forget(&mut self) {
        self.stamp.voids += 1;
        (self.stamp.known, self.stamp.old) = (0, false);
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

    pub(crate) fn start(&mut self, leader: Option<Due>) {
        let seen = self.capture();
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
