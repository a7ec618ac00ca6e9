//! The steps of a flight's task, in the order of `hybridcache-runtime/src/refresh.rs`.

use crate::flight::{Flight, Joiner, Phase, Question};
use crate::floor::{Due, Floor};
use crate::mutant::Mutant;
use crate::process::{Find, Held};
use crate::promises::Broken;
use crate::redis::{Acquired, Stored, Wake};
use crate::world::{Late, World};

/// Where the outcome of a flight comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It was loaded, and Redis has it.
    Stored,
    /// Redis had it.
    Adopted,
    /// It was loaded, and Redis was not asked, or did not answer.
    Unpublished,
    /// It was loaded, and Redis refused it.
    Fenced,
}

impl World {
    fn flight(&mut self, process: usize, flight: usize) -> &mut Flight {
        &mut self.processes[process].flights[flight]
    }

    /// The task begins: `lead` captures the epoch and looks for the shared tier.
    pub(crate) fn begin(&mut self, process: usize, flight: usize) {
        let suspect = match self.processes[process].find() {
            Find::Suspect(held) => Some(held),
            _ => None,
        };
        let (epoch, takes_commands) = (self.processes[process].epoch, self.processes[process].takes_commands());
        let flight_state = self.flight(process, flight);
        flight_state.epoch = epoch;
        if takes_commands {
            let stamp = flight_state.seen.number == 0;
            // Nobody revalidates for the refresh of a stale entry.
            let suspect = suspect.filter(|held| held.fence != 0 && flight_state.leader.is_some());
            flight_state.phase = Phase::Asking(Question { stamp, suspect });
        } else {
            self.load(process, flight, None);
        }
    }

    /// The server executes what the flight asked; the answer is on its way.
    pub(crate) fn execute(&mut self, process: usize, flight: usize) {
        let Flight { phase, token, seen, .. } = *self.flight(process, flight);
        let next = match phase {
            Phase::Asking(question) => Phase::Told { question, entry: self.redis.entry, number: self.redis.stamp },
            Phase::Acquiring { seen, creates_stamp } => {
                let unseen = self.redis.usable().filter(|entry| entry.fence != seen && !entry.expired);
                let answer = self.redis.acquire(token, seen, process, self.mutant);
                if matches!(answer, Acquired::Granted(_)) && unseen.is_some() {
                    self.broken = Some(Broken::RefreshedTwice);
                }
                if creates_stamp && self.redis.stamp == 0 {
                    self.numbers += 1;
                    self.redis.stamp = self.numbers;
                }
                Phase::Answered { seen, answer, number: creates_stamp.then_some(self.redis.stamp) }
            }
            Phase::Publishing { version, .. } => {
                let stored = self.publish(Stored { version, fence: token, expired: false, stamp: seen.number });
                Phase::Published { version, stored: Some(stored) }
            }
            other => other,
        };
        self.flight(process, flight).phase = next;
    }

    /// An answer arrives.
    pub(crate) fn receive(&mut self, process: usize, flight: usize) {
        match self.flight(process, flight).phase {
            Phase::Told { question, entry, number } => self.told(process, flight, question, entry, number),
            Phase::Answered { seen, answer, number } => self.answered(process, flight, seen, answer, number),
            Phase::Published { version, stored } => {
                let outcome = match stored {
                    Some(true) => Outcome::Stored,
                    Some(false) => Outcome::Fenced,
                    None => Outcome::Unpublished,
                };
                self.finish_load(process, flight, version, outcome);
            }
            _ => {}
        }
    }

    fn told(&mut self, process: usize, flight: usize, question: Question, entry: Option<Stored>, number: u8) {
        let mutant = self.mutant;
        let holder = &mut self.processes[process];
        if mutant == Some(Mutant::EpochAfterGet) {
            holder.flights[flight].epoch = holder.epoch;
        }
        if question.stamp {
            let mut seen = holder.flights[flight].seen;
            holder.learn(&mut seen, number, mutant);
            holder.flights[flight].seen = seen;
        }
        if let Some(held) = question.suspect {
            return match revalidated(held, entry, holder.flights[flight].seen.number, mutant) {
                true => self.trust(process, flight, held),
                false => self.read_again(process, flight),
            };
        }
        let Some(entry) = entry else { return self.ask_for_lease(process, flight, 0) };
        let Flight { seen, epoch, leader, .. } = holder.flights[flight];
        if entry.stamp != seen.number {
            return match question.stamp {
                true => self.ask_for_lease(process, flight, entry.fence),
                // Void, unless this process is the one that is wrong.
                false => {
                    self.read_again(process, flight);
                    if let Phase::Asking(question) = &mut self.flight(process, flight).phase {
                        question.stamp = true;
                    }
                }
            };
        }
        if entry.expired && leader.is_none() {
            return self.ask_for_lease(process, flight, entry.fence);
        }
        let Stored { version, fence, expired, .. } = entry;
        self.adopt(process, flight, Held { version, fence, expired, seen, epoch });
    }

    /// What memory held from before a gap is good.
    fn trust(&mut self, process: usize, flight: usize, held: Held) {
        let stores_detached = self.is(Mutant::RevalidationStoresDetached);
        let holder = &mut self.processes[process];
        let Flight { attached, epoch, .. } = holder.flights[flight];
        let held = Held { epoch, ..held };
        if attached || stores_detached {
            holder.memory = Some(held);
        }
        self.finish(process, flight, held.version, Outcome::Adopted);
    }

    /// Redis has what was sought. A stale entry is handed out, and refreshed.
    fn adopt(&mut self, process: usize, flight: usize, held: Held) {
        let mutant = self.mutant;
        let holder = &mut self.processes[process];
        if holder.flights[flight].attached {
            holder.memory = Some(held);
        }
        self.finish(process, flight, held.version, Outcome::Adopted);
        let holder = &mut self.processes[process];
        if held.expired && holder.current(mutant).is_none() {
            holder.start(None);
        }
    }

    fn ask_for_lease(&mut self, process: usize, flight: usize, seen: u8) {
        let registers_late = self.is(Mutant::RegisterAfterAcquire);
        let holder = &mut self.processes[process];
        if !holder.takes_commands() {
            return self.load(process, flight, None);
        }
        holder.attempts += 1;
        let token = 1 + (process as u8) * 64 + holder.attempts;
        let flight = &mut holder.flights[flight];
        flight.token = token;
        (flight.registered, flight.wake) = (!registers_late, None);
        flight.phase = Phase::Acquiring { seen, creates_stamp: flight.seen.number == 0 };
    }

    fn answered(&mut self, process: usize, flight: usize, seen: u8, answer: Acquired, number: Option<u8>) {
        let mutant = self.mutant;
        let holder = &mut self.processes[process];
        if let Some(number) = number {
            let mut seen = holder.flights[flight].seen;
            holder.learn(&mut seen, number, mutant);
            holder.flights[flight].seen = seen;
        }
        let state = &mut holder.flights[flight];
        match answer {
            Acquired::Granted(generation) => self.load(process, flight, Some(generation)),
            Acquired::Held => {
                state.registered = true;
                state.phase = Phase::Waiting { seen };
            }
            Acquired::Changed => self.read_again(process, flight),
        }
    }

    fn read_again(&mut self, process: usize, flight: usize) {
        if !self.processes[process].takes_commands() {
            return self.load(process, flight, None);
        }
        let flight = self.flight(process, flight);
        (flight.registered, flight.wake, flight.lapsed) = (false, None, false);
        flight.phase = Phase::Asking(Question { stamp: flight.seen.number == 0, suspect: None });
    }

    /// The wait is over: by a message, or by the timer where there is none.
    pub(crate) fn end_wait(&mut self, process: usize, flight: usize) {
        if !self.processes[process].takes_commands() {
            return self.load(process, flight, None);
        }
        let state = self.flight(process, flight);
        match (state.wake.take(), state.phase) {
            (Some(Wake::Published), _) => self.read_again(process, flight),
            (_, Phase::Waiting { seen }) => {
                state.lapsed = false;
                state.phase = Phase::Acquiring { seen, creates_stamp: state.seen.number == 0 };
            }
            _ => {}
        }
    }

    /// The load begins: it reads the database now, and takes its time.
    pub(crate) fn load(&mut self, process: usize, flight: usize, lease: Option<u8>) {
        let version = self.database;
        let flight = self.flight(process, flight);
        (flight.registered, flight.wake, flight.lapsed) = (false, None, false);
        flight.phase = Phase::Loading { version, lease };
    }

    pub(crate) fn end_load(&mut self, process: usize, flight: usize) {
        let late_stamps = self.is(Mutant::StampsAfterLoad);
        let holder = &mut self.processes[process];
        let captured = holder.capture();
        let (takes_commands, state) = (holder.takes_commands(), &mut holder.flights[flight]);
        let Phase::Loading { version, lease } = state.phase else { return };
        if late_stamps {
            state.seen = captured;
        }
        match lease {
            None => self.finish_load(process, flight, version, Outcome::Unpublished),
            Some(_) if !takes_commands => self.finish_load(process, flight, version, Outcome::Unpublished),
            // Under no number nobody would find it.
            Some(_) if state.seen.number == 0 => {
                let token = state.token;
                self.send_late(Late::Release(token));
                self.finish_load(process, flight, version, Outcome::Unpublished);
            }
            Some(lease) => state.phase = Phase::Publishing { version, lease },
        }
    }

    /// The load ends with a value that is not to be stored.
    pub(crate) fn discard(&mut self, process: usize, flight: usize) {
        let Flight { phase, token, .. } = *self.flight(process, flight);
        let Phase::Loading { version, lease } = phase else { return };
        if lease.is_some() && self.processes[process].takes_commands() {
            self.send_late(Late::Release(token));
        }
        self.finish(process, flight, version, Outcome::Unpublished);
    }

    /// The budget is spent, or the link is gone: on without Redis. What was sent may still be executed.
    pub(crate) fn fail(&mut self, process: usize, flight: usize) {
        let Flight { phase, token, seen, .. } = *self.flight(process, flight);
        let releases = self.processes[process].takes_commands();
        match phase {
            Phase::Asking(_) | Phase::Told { .. } => self.load(process, flight, None),
            Phase::Acquiring { .. } => {
                self.send_late(Late::Acquire { token, process });
                self.load(process, flight, None);
            }
            Phase::Answered { .. } => self.load(process, flight, None),
            Phase::Publishing { version, .. } => {
                self.send_late(Late::Publish(token, version, seen.number));
                self.finish_load(process, flight, version, Outcome::Unpublished);
            }
            Phase::Published { version, .. } => {
                self.finish_load(process, flight, version, Outcome::Unpublished);
            }
            _ => return,
        }
        if releases && !matches!(phase, Phase::Asking(_) | Phase::Told { .. }) {
            self.send_late(Late::Release(token));
        }
    }

    fn finish_load(&mut self, process: usize, flight: usize, version: u8, outcome: Outcome) {
        let holder = &mut self.processes[process];
        let Flight { attached, seen, epoch, token, .. } = holder.flights[flight];
        let is_current = seen.generation == holder.stamp.generation;
        if attached && is_current && outcome != Outcome::Fenced {
            let fence = if outcome == Outcome::Stored { token } else { 0 };
            holder.memory = Some(Held { version, fence, expired: false, seen, epoch });
        }
        self.finish(process, flight, version, outcome);
    }

    /// Everybody who joined gets the outcome.
    fn finish(&mut self, process: usize, flight: usize, version: u8, outcome: Outcome) {
        let Flight { leader, joiner, .. } = self.processes[process].flights.remove(flight);
        let retries = outcome == Outcome::Fenced && !self.is(Mutant::FencedEndsAsStored);
        if let Some(due) = leader {
            self.broken = self.broken.or(due.broken_by(version, true));
        }
        match joiner {
            Some(Joiner { late: true, .. }) if retries => {}
            // What another process invalidated is known here when its message arrives, or when a publish is fenced.
            Some(Joiner { due, after_publish, .. }) => {
                let asked = matches!(outcome, Outcome::Stored | Outcome::Fenced) && !after_publish;
                self.broken = self.broken.or(due.broken_by(version, asked));
            }
            None => {}
        }
    }
}

fn revalidated(held: Held, entry: Option<Stored>, number: u8, mutant: Option<Mutant>) -> bool {
    let same = |entry: Stored| {
        entry.fence == held.fence
            && (entry.expired == held.expired || mutant == Some(Mutant::RevalidationIgnoresMark))
            && (number == held.seen.number || mutant == Some(Mutant::RevalidationIgnoresStamps))
    };
    mutant == Some(Mutant::RevalidationComparesNothing) || entry.is_some_and(same)
}

impl Due {
    fn broken_by(&self, version: u8, asked_redis: bool) -> Option<Broken> {
        if version < self.pending {
            Some(Broken::PendingForgotten)
        } else if version < self.restamped {
            Some(Broken::VoidedReturned)
        } else if version < self.deleted {
            Some(Broken::KnownReturned)
        } else if asked_redis && version < self.redis {
            Some(Broken::AcknowledgedReturned)
        } else {
            None
        }
    }
}

impl World {
    /// Redis came back as it was when it knew of `floor` only.
    pub(crate) fn forget_dues(&mut self, floor: Floor) {
        for process in &mut self.processes {
            process.floors.forget(floor);
            let own = process.floors.own;
            for flight in &mut process.flights {
                let joiner = flight.joiner.as_mut().map(|joiner| &mut joiner.due);
                flight.leader.iter_mut().chain(joiner).for_each(|due| due.forget(floor, own));
            }
        }
    }
}
