//! The steps of a flight's task, in the order of `hybridcache-runtime/src/engine/run.rs`.

use crate::flight::{Attempt, Flight, Joiner, Phase, Question, Take};
use crate::floor::{Due, Floor};
use crate::mutant::Mutant;
use crate::process::Held;
use crate::promises::Broken;
use crate::redis::{Acquired, EDITIONS, Editions, Stored, Token, Wake};
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
    /// Memory has it from before a gap, and Redis cannot be asked.
    Unproven,
}

impl World {
    fn flight(&mut self, process: usize, flight: usize) -> &mut Flight {
        &mut self.processes[process].flights[flight]
    }

    /// The task begins: `lead` captures the epoch, and looks whether memory has something that is in doubt.
    pub(crate) fn begin(&mut self, process: usize, flight: usize) {
        let holder = &mut self.processes[process];
        let (epoch, suspect) = (holder.epoch, holder.suspect());
        let state = &mut holder.flights[flight];
        state.epoch = epoch;
        // Nobody waits for the refresh of a stale entry.
        state.suspect = suspect.filter(|_| state.leader.is_some());
        let head = state.suspect.is_some_and(|held| held.fence != 0);
        self.ask(process, flight, head, false);
    }

    /// The task begins, of a flight that expects a miss.
    pub(crate) fn expect(&mut self, process: usize, flight: usize) {
        let holder = &mut self.processes[process];
        holder.flights[flight].epoch = holder.epoch;
        self.take_for(process, flight, None);
    }

    /// Asks for the entry, or for its head alone; for the stamp's number where it is not known, or is in doubt.
    fn ask(&mut self, process: usize, flight: usize, head: bool, in_doubt: bool) {
        let holder = &mut self.processes[process];
        if !holder.asks() {
            return self.go_on_alone(process, flight);
        }
        let breaker = holder.breaker;
        let state = &mut holder.flights[flight];
        (state.registered, state.wake, state.lapsed) = (false, None, false);
        let stamp = in_doubt || state.seen.number == 0;
        state.phase = Phase::Asking(Question { stamp, head, breaker });
    }

    /// Redis cannot be asked: what is in doubt is handed out, for want of better; else the load begins without a lease.
    fn go_on_alone(&mut self, process: usize, flight: usize) {
        self.give_back(process, flight);
        let serves_disowned = self.is(Mutant::ServesDisowned);
        let Flight { suspect, disowned, .. } = *self.flight(process, flight);
        match suspect {
            Some(held) if !disowned || serves_disowned => {
                if disowned {
                    self.broken = Some(Broken::DisownedReturned);
                }
                self.finish(process, flight, held.version, Outcome::Unproven);
            }
            _ => self.load(process, flight, None),
        }
    }

    /// The server executes what the flight asked; the answer is on its way.
    pub(crate) fn execute(&mut self, process: usize, flight: usize) {
        let Flight { phase, token, seen, .. } = *self.flight(process, flight);
        let next = match phase {
            Phase::Asking(question) => {
                let entry = self.redis.editions[self.processes[process].edition].entry;
                Phase::Told { question, entry, stamp: (self.redis.stamp, self.redis.listed) }
            }
            Phase::Taking(take) => {
                let stamp = take.creates_stamp.then(|| self.register(process, None));
                if self.is(Mutant::ReadsBeforeTaking) {
                    let entry = self.redis.editions[self.processes[process].edition].entry;
                    Phase::HalfTaken { take, granted: None, entry, stamp }
                } else {
                    match (take.seen, self.take_lease(token, process)) {
                        // What is read does not matter.
                        (Some(_), None) => Phase::Taken { take, granted: None, entry: None, stamp },
                        (_, granted) => Phase::HalfTaken { take, granted, entry: None, stamp },
                    }
                }
            }
            Phase::HalfTaken { take, granted, entry, stamp } => {
                if self.is(Mutant::ReadsBeforeTaking) {
                    Phase::Taken { take, granted: self.take_lease(token, process), entry, stamp }
                } else {
                    let entry = self.redis.editions[self.processes[process].edition].entry;
                    // Where one was read before, only that it is another one matters.
                    let entry = entry.filter(|entry| take.seen != Some(entry.fence));
                    Phase::Taken { take, granted, entry, stamp }
                }
            }
            Phase::Acquiring { seen } => Phase::Answered { seen, answer: self.acquire(token, seen, process) },
            Phase::Publishing { version, .. } => {
                let stored = self.publish(Stored { version, fence: token, expired: false, stamp: seen.number });
                Phase::Published { version, stored }
            }
            other => other,
        };
        self.flight(process, flight).phase = next;
    }

    /// An answer arrives.
    pub(crate) fn receive(&mut self, process: usize, flight: usize) {
        match self.flight(process, flight).phase {
            Phase::Told { question, entry, stamp } => self.told(process, flight, question, entry, stamp),
            Phase::Taken { take, granted, entry, stamp } => self.taken(process, flight, take, granted, entry, stamp),
            Phase::Answered { seen, answer } => self.answered(process, flight, seen, answer),
            Phase::Published { version, stored } => {
                let outcome = if stored { Outcome::Stored } else { Outcome::Fenced };
                self.finish_load(process, flight, version, outcome);
            }
            _ => {}
        }
    }

    fn told(
        &mut self,
        process: usize,
        flight: usize,
        question: Question,
        entry: Option<Stored>,
        stamp: (u8, Editions),
    ) {
        let mutant = self.mutant;
        let holder = &mut self.processes[process];
        if mutant == Some(Mutant::EpochAfterGet) {
            holder.flights[flight].epoch = holder.epoch;
        }
        // It can have been read before something pending was told.
        if holder.breaker != question.breaker && mutant != Some(Mutant::AnswersOutliveBreaker) {
            return self.go_on_alone(process, flight);
        }
        if question.stamp {
            let mut seen = holder.flights[flight].seen;
            holder.learn(&mut seen, stamp, mutant);
            holder.flights[flight].seen = seen;
        }
        let Flight { seen, epoch, leader, suspect, .. } = holder.flights[flight];
        if let (true, Some(held)) = (question.head, suspect) {
            return match revalidated(held, entry, seen.number, mutant) {
                Some(marked) => self.trust(process, flight, held, marked),
                None => {
                    holder.flights[flight].disowned = true;
                    self.ask(process, flight, false, false);
                }
            };
        }
        match entry {
            None => self.ask_for_lease(process, flight, 0),
            // Void, unless this process is the one that is wrong.
            Some(entry) if entry.stamp != seen.number && !question.stamp => self.ask(process, flight, false, true),
            Some(entry) if entry.stamp != seen.number => self.ask_for_lease(process, flight, entry.fence),
            Some(entry) if entry.expired && leader.is_none() => self.ask_for_lease(process, flight, entry.fence),
            Some(Stored { version, fence, expired, .. }) => {
                self.adopt(process, flight, Held { version, fence, expired, seen, epoch });
            }
        }
    }

    /// What memory held from before a gap is good, or stale.
    fn trust(&mut self, process: usize, flight: usize, held: Held, marked: bool) {
        let stores_detached = self.is(Mutant::RevalidationStoresDetached);
        let holder = &mut self.processes[process];
        let Flight { attached, epoch, .. } = holder.flights[flight];
        let held = Held { epoch, expired: held.expired || marked, ..held };
        if attached || stores_detached {
            holder.memory = Some(held);
        }
        self.finish(process, flight, held.version, Outcome::Adopted);
        self.refresh_if_stale(process, held);
    }

    /// Redis has what was sought.
    fn adopt(&mut self, process: usize, flight: usize, held: Held) {
        if !self.is(Mutant::KeepsLeaseOfHit) {
            self.give_back(process, flight);
        }
        let holder = &mut self.processes[process];
        if holder.flights[flight].attached {
            holder.memory = Some(held);
        }
        self.finish(process, flight, held.version, Outcome::Adopted);
        self.refresh_if_stale(process, held);
    }

    fn refresh_if_stale(&mut self, process: usize, held: Held) {
        let mutant = self.mutant;
        let holder = &mut self.processes[process];
        if held.expired && holder.current(mutant).is_none() {
            holder.start(None, mutant);
        }
    }

    /// The entry, if there is one, is not what is sought.
    fn ask_for_lease(&mut self, process: usize, flight: usize, seen: Token) {
        let attempt = self.flight(process, flight).attempt;
        match attempt {
            Attempt::Granted(generation) => self.load_leased(process, flight, seen, generation),
            _ if !self.processes[process].asks() => self.go_on_alone(process, flight),
            Attempt::Refused => self.flight(process, flight).phase = Phase::Acquiring { seen },
            Attempt::None => self.take_for(process, flight, Some(seen)),
        }
    }

    /// A wake-up finds the flight from here on.
    fn take_for(&mut self, process: usize, flight: usize, seen: Option<Token>) {
        let registers_late = self.is(Mutant::RegisterAfterAcquire);
        let holder = &mut self.processes[process];
        holder.attempts += 1;
        let token = 1 + (process as u8) * 64 + holder.attempts;
        let breaker = if seen.is_none() { holder.breaker } else { 0 };
        let flight = &mut holder.flights[flight];
        flight.token = token;
        (flight.registered, flight.wake) = (!registers_late, None);
        flight.phase = Phase::Taking(Take { seen, creates_stamp: flight.seen.number == 0, breaker });
    }

    fn taken(
        &mut self,
        process: usize,
        flight: usize,
        Take { seen, breaker, .. }: Take,
        granted: Option<u8>,
        entry: Option<Stored>,
        stamp: Option<(u8, Editions)>,
    ) {
        let mutant = self.mutant;
        let holder = &mut self.processes[process];
        holder.flights[flight].attempt = granted.map_or(Attempt::Refused, Attempt::Granted);
        let Some(seen) = seen else {
            let question = Question { stamp: stamp.is_some(), head: false, breaker };
            return self.told(process, flight, question, entry, stamp.unwrap_or_default());
        };
        if let Some(stamp) = stamp {
            let mut captured = holder.flights[flight].seen;
            holder.learn(&mut captured, stamp, mutant);
            holder.flights[flight].seen = captured;
        }
        let is_other = entry.is_some_and(|entry| entry.fence != seen);
        if granted.is_some() && is_other && mutant != Some(Mutant::TakeIgnoresSeen) {
            self.give_back(process, flight);
            return self.ask(process, flight, false, false);
        }
        self.ask_for_lease(process, flight, seen);
    }

    /// A lease that was granted is not needed.
    fn give_back(&mut self, process: usize, flight: usize) {
        let is_linked = self.processes[process].is_linked();
        let state = self.flight(process, flight);
        let (attempt, token) = (std::mem::take(&mut state.attempt), state.token);
        if matches!(attempt, Attempt::Granted(_)) && is_linked {
            self.send_late(Late::Release(token, false));
        }
    }

    /// The load begins, and no other one does.
    fn load_leased(&mut self, process: usize, flight: usize, seen: Token, generation: u8) {
        let (edition, token) = (self.processes[process].edition, self.flight(process, flight).token);
        let is_held = self.redis.editions[edition].lease.as_ref().is_some_and(|lease| lease.token == token);
        let unseen = self.redis.usable(edition).filter(|entry| entry.fence != seen && !entry.expired);
        // A failover can bring back an entry, and with it the lease.
        if is_held && unseen.is_some() && self.spent.failovers == 0 {
            self.broken = Some(Broken::RefreshedTwice);
        }
        self.load(process, flight, Some(generation));
    }

    fn answered(&mut self, process: usize, flight: usize, seen: Token, answer: Acquired) {
        let state = self.flight(process, flight);
        state.attempt = Attempt::None;
        match answer {
            Acquired::Granted(generation) => self.load_leased(process, flight, seen, generation),
            Acquired::Held | Acquired::HeldInVain if state.in_vain || answer == Acquired::HeldInVain => {
                state.in_vain = true;
                self.load_beside(process, flight);
            }
            Acquired::Held | Acquired::HeldInVain => {
                state.registered = true;
                state.phase = Phase::Waiting { seen };
            }
            Acquired::Changed => self.ask(process, flight, false, false),
        }
    }

    /// The wait is over: by a message, or by the timer where there is none.
    pub(crate) fn end_wait(&mut self, process: usize, flight: usize) {
        if !self.processes[process].asks() {
            return self.go_on_alone(process, flight);
        }
        let state = self.flight(process, flight);
        match (state.wake.take(), state.phase) {
            (Some(Wake::Published), _) => self.ask(process, flight, false, false),
            (Some(Wake::NothingStored), _) if state.leader.is_none() => self.leave(process, flight),
            // With the same token, and the wake-up still finds the flight.
            (wake, Phase::Waiting { seen }) => {
                state.in_vain |= wake == Some(Wake::NothingStored);
                state.lapsed = false;
                let (seen, creates_stamp) = (Some(seen), state.seen.number == 0);
                state.phase = Phase::Taking(Take { seen, creates_stamp, breaker: 0 });
            }
            _ => {}
        }
    }

    /// Another process has the lease, and what such loads give is not stored.
    fn load_beside(&mut self, process: usize, flight: usize) {
        match self.flight(process, flight).leader {
            Some(_) => self.load(process, flight, None),
            None => self.leave(process, flight),
        }
    }

    /// Nobody waits for a refresh. Who has joined it looks again.
    fn leave(&mut self, process: usize, flight: usize) {
        self.processes[process].flights.remove(flight);
    }

    /// The load begins: it reads the database now, and takes its time.
    pub(crate) fn load(&mut self, process: usize, flight: usize, lease: Option<u8>) {
        let version = self.database;
        let flight = self.flight(process, flight);
        (flight.registered, flight.wake, flight.lapsed) = (false, None, false);
        flight.attempt = Attempt::None;
        flight.phase = Phase::Loading { version, lease };
    }

    pub(crate) fn end_load(&mut self, process: usize, flight: usize) {
        let (mutant, late_stamps) = (self.mutant, self.is(Mutant::StampsAfterLoad));
        let holder = &mut self.processes[process];
        let captured = holder.capture(mutant);
        let (asks, is_linked) = (holder.asks(), holder.is_linked());
        let state = &mut holder.flights[flight];
        let Phase::Loading { version, lease } = state.phase else { return };
        if late_stamps {
            state.seen = captured;
        }
        let (token, in_vain) = (state.token, state.in_vain);
        if lease.is_none() && in_vain && self.is(Mutant::UnleasedLoadPublishes) {
            return self.publish_unleased(process, flight, version, token);
        }
        let state = self.flight(process, flight);
        match lease {
            Some(lease) if asks && state.seen.number != 0 => state.phase = Phase::Publishing { version, lease },
            Some(_) if is_linked => {
                self.send_late(Late::Release(token, true));
                self.finish_load(process, flight, version, Outcome::Unpublished);
            }
            _ => self.finish_load(process, flight, version, Outcome::Unpublished),
        }
    }

    /// [`Mutant::UnleasedLoadPublishes`]: the lease is asked for now.
    fn publish_unleased(&mut self, process: usize, flight: usize, version: u8, token: u8) {
        let entry = self.redis.editions[self.processes[process].edition].entry;
        match self.acquire(token, entry.map_or(0, |entry| entry.fence), process) {
            Acquired::Granted(lease) => self.flight(process, flight).phase = Phase::Publishing { version, lease },
            _ => self.finish_load(process, flight, version, Outcome::Unpublished),
        }
    }

    /// The load ends with a value that is not to be stored.
    pub(crate) fn discard(&mut self, process: usize, flight: usize) {
        let Flight { phase, token, .. } = *self.flight(process, flight);
        let Phase::Loading { version, lease } = phase else { return };
        if lease.is_some() && self.processes[process].is_linked() {
            self.send_late(Late::Release(token, true));
        }
        self.finish(process, flight, version, Outcome::Unpublished);
    }

    /// The budget is spent, or the link is gone: on without Redis. What was sent may still be executed.
    pub(crate) fn fail(&mut self, process: usize, flight: usize) {
        let Flight { phase, token, seen, .. } = *self.flight(process, flight);
        let releases = self.processes[process].is_linked();
        match phase {
            Phase::Asking(_) | Phase::Told { .. } => self.go_on_alone(process, flight),
            Phase::Taking(_) => {
                self.send_late(Late::Take { token, process });
                self.go_on_alone(process, flight);
            }
            Phase::Acquiring { .. } => {
                self.send_late(Late::Acquire { token, process });
                self.go_on_alone(process, flight);
            }
            Phase::HalfTaken { .. } | Phase::Taken { .. } | Phase::Answered { .. } => self.go_on_alone(process, flight),
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
            let loaded = matches!(phase, Phase::Publishing { .. } | Phase::Published { .. });
            self.send_late(Late::Release(token, loaded));
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
            self.broken = self.broken.or(due.broken_by(version, outcome, outcome != Outcome::Unproven));
        }
        match joiner {
            Some(Joiner { late: true, .. }) if retries => {}
            // What another process invalidated is known here when its message arrives, or when a publish is fenced.
            Some(Joiner { due, after_publish, .. }) => {
                let asked = matches!(outcome, Outcome::Stored | Outcome::Fenced) && !after_publish;
                self.broken = self.broken.or(due.broken_by(version, outcome, asked));
            }
            None => {}
        }
    }
}

/// Whether a suspect is good still; and whether Redis has it marked as stale.
fn revalidated(held: Held, entry: Option<Stored>, number: u8, mutant: Option<Mutant>) -> Option<bool> {
    let (ignores_mark, ignores_stamps) =
        (mutant == Some(Mutant::RevalidationIgnoresMark), mutant == Some(Mutant::RevalidationIgnoresStamps));
    match entry {
        _ if mutant == Some(Mutant::RevalidationComparesNothing) => Some(false),
        Some(entry) if entry.fence == held.fence && (number == held.seen.number || ignores_stamps) => {
            Some(entry.expired && !ignores_mark)
        }
        _ => None,
    }
}

impl Due {
    fn broken_by(&self, version: u8, outcome: Outcome, asked_redis: bool) -> Option<Broken> {
        if version < self.pending {
            Some(Broken::PendingForgotten)
        } else if version < self.restamped {
            Some(Broken::VoidedReturned)
        } else if version < self.deleted {
            Some(Broken::KnownReturned)
        } else if version < self.gap && outcome != Outcome::Unproven {
            Some(Broken::MissedReturned)
        } else if asked_redis && version < self.redis {
            Some(Broken::AcknowledgedReturned)
        } else {
            None
        }
    }
}

impl World {
    /// Redis came back as it was when it knew of these only.
    pub(crate) fn forget_dues(&mut self, floors: [Floor; EDITIONS]) {
        for process in &mut self.processes {
            let floor = floors[process.edition];
            process.floors.forget(floor);
            let own = process.floors.own;
            for flight in &mut process.flights {
                let joiner = flight.joiner.as_mut().map(|joiner| &mut joiner.due);
                flight.leader.iter_mut().chain(joiner).for_each(|due| due.forget(floor, own));
            }
        }
    }
}
