//! The lease and coherence protocol of hybridcache as a model: some processes, one key with one tag, one Redis, a database
//! whose version each write raises, and every order in which messages, answers and faults can come. The README beside this
//! crate says what is in it and what is not.
//!
//! `redis.rs` follows the Lua scripts of the runtime line by line, `process.rs` its `local.rs`, `stamps.rs` and
//! `flight.rs`, `steps.rs` its `refresh.rs`. `promises.rs` holds what is promised, `floor.rs` what the model remembers to
//! tell whether a promise was kept, `mutant.rs` the bugs that a check must find.

mod bounds;
mod examples;
mod faults;
mod flight;
mod floor;
mod mutant;
mod process;
mod promises;
mod put;
mod redis;
mod steps;
mod world;

use stateright::{Model, Property};

use crate::flight::Phase;
use crate::process::{Link, Stage};
use crate::put::Step;

pub use crate::bounds::Bounds;
pub use crate::examples::example;
pub use crate::floor::Mode;
pub use crate::mutant::Mutant;
pub use crate::promises::promise;
pub use crate::world::World;

/// The model: how many processes, how much happens, which bug is seeded.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    /// How many processes there are.
    pub processes: usize,
    /// How many versions of the function they have, in turn.
    pub editions: usize,
    /// How much happens.
    pub bounds: Bounds,
    /// The bug that is seeded.
    pub mutant: Option<Mutant>,
}

/// One step. The numbers are of the process, then of its flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A call that memory alone does not settle: it leads a flight, joins one, or starts the refresh of a stale entry.
    Call(usize),
    /// A write to the database, and the beginning of the invalidation that follows it.
    Write(usize, Mode),
    /// The server executes the invalidation.
    ExecuteInvalidation(usize),
    /// Its answer arrives.
    Acknowledge(usize),
    /// There is none, or it is an error: the first or the second of two steps.
    FailInvalidation(usize),
    /// The server does not execute it.
    Refuse(usize),
    /// Its caller goes away.
    Abandon(usize),
    /// A write to the database, and the beginning of the put that follows it.
    Put(usize),
    /// The server executes a step of the put.
    ExecutePut(usize),
    /// Its answer arrives.
    ReceivePut(usize),
    /// There is none, or its caller goes away.
    FailPut(usize),
    /// The oldest message arrives.
    Deliver(usize),
    /// A flight's task begins.
    Begin(usize, usize),
    /// The same, where a miss is expected.
    Expect(usize, usize),
    /// The server executes what a flight has sent.
    Execute(usize, usize),
    /// The answer arrives.
    Receive(usize, usize),
    /// A waiter goes on: woken, or by its timer.
    EndWait(usize, usize),
    /// A load ends with a value to store.
    EndLoad(usize, usize),
    /// A load ends with a value that is not to be stored, or with an error.
    Discard(usize, usize),
    /// The budget for an answer is spent, or the link is gone.
    Fail(usize, usize),
    /// The server executes a command for whose answer nobody waits.
    ExecuteLate(usize),
    /// A process's number of the stamp was read long ago.
    ForgetNumber(usize),
    /// The lease ends by itself.
    EndLease,
    /// The mark that a load has stored nothing ends by itself.
    EndMark,
    /// `FLUSHALL`.
    LoseData,
    /// The stamp is lost.
    LoseStamp,
    /// The replica takes in what the server has.
    Replicate,
    /// The replica takes over, and every link is lost.
    FailOver,
    /// A process's messages are lost from now on.
    Cut(usize),
    /// It notices, and drops its link.
    Notice(usize),
    /// It subscribes again.
    Reconnect(usize),
    /// Its breaker is open: it looks up what Redis has to be told.
    BeginRecovery(usize),
    /// It tells Redis of one of its invalidations once more.
    Replay(usize),
    /// Its breaker closes.
    EndRecovery(usize),
}

impl Model for Fleet {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.processes, self.editions, self.mutant)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.broken.is_some() {
            return;
        }
        for process in 0..self.processes {
            self.actions_of_process(world, process, actions);
            for flight in 0..world.processes[process].flights.len() {
                self.actions_of_flight(world, process, flight, actions);
            }
        }
        actions.extend((0..world.late.len()).map(Action::ExecuteLate));
        self.faults(world, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        next.take(action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::properties().into_iter().chain(examples::properties()).collect()
    }
}

impl Fleet {
    fn actions_of_process(&self, world: &World, process: usize, actions: &mut Vec<Action>) {
        let left = |of: fn(&Bounds) -> u8| self.bounds.allow(world.spent, of);
        let state = &world.processes[process];
        // Of processes to which nothing has happened yet each stands for all.
        let untouched = |process: usize| world.processes[process].is_untouched(self.editions);
        if process >= self.editions && untouched(process) && untouched(process - self.editions) {
            return;
        }
        let mut add = |condition: bool, action| actions.extend(condition.then_some(action));
        add(left(|bounds| bounds.calls) && world.can_call(process), Action::Call(process));
        let idle = state.invalidating.is_none() && state.putting.is_none();
        add(idle && left(|bounds| bounds.puts), Action::Put(process));
        add(idle && left(|bounds| bounds.deletes), Action::Write(process, Mode::Delete));
        add(idle && left(|bounds| bounds.expires), Action::Write(process, Mode::Expire));
        add(idle && left(|bounds| bounds.restamps), Action::Write(process, Mode::Restamp));
        if let Some(putting) = state.putting {
            let is_sent = matches!(putting.step, Step::Seizing | Step::Creating | Step::Publishing);
            // As for a flight.
            add(is_sent && (state.is_linked() || world.spent.failovers == 0), Action::ExecutePut(process));
            add(!is_sent, Action::ReceivePut(process));
            add(!state.is_linked() || left(|bounds| bounds.give_ups), Action::FailPut(process));
        }
        if let Some(running) = state.invalidating {
            let is_sent = matches!(running.stage, Stage::Sent | Stage::HalfExecuted);
            let is_executed = running.stage == Stage::Executed;
            add(is_sent, Action::ExecuteInvalidation(process));
            add(is_executed, Action::Acknowledge(process));
            add(!is_sent && !is_executed, Action::FailInvalidation(process));
            add(is_sent && left(|bounds| bounds.refusals), Action::Refuse(process));
            add((is_sent || is_executed) && left(|bounds| bounds.abandons), Action::Abandon(process));
        }
        add(!state.inbox.is_empty(), Action::Deliver(process));
        let known = state.stamp.known != 0 && !state.stamp.old;
        add(known && left(|bounds| bounds.forgets), Action::ForgetNumber(process));
        add(state.link == Link::Up && left(|bounds| bounds.cuts), Action::Cut(process));
        add(state.link == Link::Cut, Action::Notice(process));
        add(state.link == Link::Down, Action::Reconnect(process));
        match &state.recovery {
            None => add(state.is_open() && state.is_linked(), Action::BeginRecovery(process)),
            Some(attempt) if attempt.unsent.is_empty() => add(true, Action::EndRecovery(process)),
            Some(_) => add(true, Action::Replay(process)),
        }
    }

    fn actions_of_flight(&self, world: &World, process: usize, flight: usize, actions: &mut Vec<Action>) {
        let holder = &world.processes[process];
        let state = &holder.flights[flight];
        let may_fail = !holder.is_linked() || self.bounds.allow(world.spent, |bounds| bounds.give_ups);
        match state.phase {
            Phase::Starting => {
                actions.push(Action::Begin(process, flight));
                let expects = state.leader.is_some() && holder.suspect().is_none() && holder.asks();
                if expects && self.bounds.allow(world.spent, |bounds| bounds.expectations) {
                    actions.push(Action::Expect(process, flight));
                }
            }
            Phase::Asking(_)
            | Phase::Taking(_)
            | Phase::HalfTaken { .. }
            | Phase::Acquiring { .. }
            | Phase::Publishing { .. } => {
                // After a failover the link of old reaches no server, and there is none yet to the new one.
                let reaches = holder.is_linked() || world.spent.failovers == 0;
                actions.extend(reaches.then_some(Action::Execute(process, flight)));
                actions.extend(may_fail.then_some(Action::Fail(process, flight)));
            }
            Phase::Told { .. } | Phase::Taken { .. } | Phase::Answered { .. } | Phase::Published { .. } => {
                actions.push(Action::Receive(process, flight));
                actions.extend(may_fail.then_some(Action::Fail(process, flight)));
            }
            Phase::Waiting { .. } => {
                if state.lapsed || state.wake.is_some() || holder.link != Link::Up {
                    actions.push(Action::EndWait(process, flight));
                }
            }
            Phase::Loading { .. } => {
                actions.push(Action::EndLoad(process, flight));
                if self.bounds.allow(world.spent, |bounds| bounds.discards) {
                    actions.push(Action::Discard(process, flight));
                }
            }
        }
    }

    fn faults(&self, world: &World, actions: &mut Vec<Action>) {
        let left = |of: fn(&Bounds) -> u8| self.bounds.allow(world.spent, of);
        let mut add = |condition: bool, action| actions.extend(condition.then_some(action));
        let slots = || world.redis.editions.iter();
        add(slots().any(|slot| slot.lease.is_some()) && left(|bounds| bounds.lease_ends), Action::EndLease);
        add(slots().any(|slot| slot.mark), Action::EndMark);
        add(left(|bounds| bounds.data_losses), Action::LoseData);
        add(world.redis.stamp != 0 && left(|bounds| bounds.stamp_losses), Action::LoseStamp);
        // An empty replica would be one more way to lose the data.
        add(world.redis.has_data() && world.replica.is_none() && left(|bounds| bounds.failovers), Action::Replicate);
        add(world.replica.is_some() && left(|bounds| bounds.failovers), Action::FailOver);
    }
}

impl World {
    fn take(&mut self, action: Action) {
        self.spend(action);
        match action {
            Action::Call(process) => self.call(process),
            Action::Write(process, mode) => self.write(process, mode),
            Action::ExecuteInvalidation(process) => self.execute_invalidation(process),
            Action::Acknowledge(process) => self.acknowledge(process),
            Action::Put(process) => self.put(process),
            Action::ExecutePut(process) => self.execute_put(process),
            Action::ReceivePut(process) => self.receive_put(process),
            Action::FailPut(process) => self.fail_put(process),
            Action::Deliver(process) => self.deliver(process),
            Action::Begin(process, flight) => self.begin(process, flight),
            Action::Expect(process, flight) => self.expect(process, flight),
            Action::Execute(process, flight) => self.execute(process, flight),
            Action::Receive(process, flight) => self.receive(process, flight),
            Action::EndWait(process, flight) => self.end_wait(process, flight),
            Action::EndLoad(process, flight) => self.end_load(process, flight),
            Action::Discard(process, flight) => self.discard(process, flight),
            Action::Fail(process, flight) => self.fail(process, flight),
            Action::ExecuteLate(place) => self.execute_late(place),
            Action::ForgetNumber(process) => self.processes[process].stamp.old = true,
            Action::EndLease => self.end_lease(),
            Action::EndMark => self.redis.editions.iter_mut().for_each(|slot| slot.mark = false),
            Action::LoseData => self.lose_data(),
            Action::LoseStamp => self.lose_stamp(),
            Action::Replicate => self.replica = Some(self.redis.clone()),
            Action::FailOver => self.fail_over(),
            Action::Cut(process) => self.cut(process),
            Action::Notice(process) => self.notice(process),
            Action::Reconnect(process) => self.reconnect(process),
            Action::Replay(process) => self.replay(process),
            Action::FailInvalidation(process) => self.fail_invalidation(process),
            Action::Refuse(process) => self.refuse(process),
            Action::Abandon(process) => self.abandon(process),
            Action::BeginRecovery(process) => self.begin_recovery(process),
            Action::EndRecovery(process) => self.end_recovery(process),
        }
    }

    fn spend(&mut self, action: Action) {
        let spent = &mut self.spent;
        let count = match action {
            Action::Call(_) => &mut spent.calls,
            Action::Write(_, Mode::Delete) => &mut spent.deletes,
            Action::Write(_, Mode::Expire) => &mut spent.expires,
            Action::Write(_, Mode::Restamp) => &mut spent.restamps,
            Action::Expect(..) => &mut spent.expectations,
            Action::Discard(..) => &mut spent.discards,
            Action::Put(_) => &mut spent.puts,
            Action::FailPut(process) if self.processes[process].is_linked() => &mut spent.give_ups,
            Action::Fail(process, _) if self.processes[process].is_linked() => &mut spent.give_ups,
            Action::ForgetNumber(_) => &mut spent.forgets,
            Action::EndLease => &mut spent.lease_ends,
            Action::LoseData => &mut spent.data_losses,
            Action::LoseStamp => &mut spent.stamp_losses,
            Action::FailOver => &mut spent.failovers,
            Action::Cut(_) => &mut spent.cuts,
            Action::Refuse(_) => &mut spent.refusals,
            Action::Abandon(_) => &mut spent.abandons,
            _ => return,
        };
        *count += 1;
    }
}
