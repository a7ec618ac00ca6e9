//! What goes wrong, and how it is made good: leases that end, lost data, lost links, the journal.

use crate::flight::Phase;
use crate::floor::Mode;
use crate::mutant::Mutant;
use crate::process::{Attempt, Invalidating, Link, Process, Stage};
use crate::redis::{Acquired, Wake};
use crate::world::{Late, World};

impl World {
    /// The leases end by themselves, though their holders may only be slow.
    pub(crate) fn end_lease(&mut self) {
        self.redis.editions.iter_mut().for_each(|slot| slot.lease = None);
        self.lapse();
    }

    /// It was evicted, or its lifetime is over.
    pub(crate) fn lose_stamp(&mut self) {
        (self.redis.stamp, self.redis.listed) = (0, 0);
    }

    /// `FLUSHALL`.
    pub(crate) fn lose_data(&mut self) {
        for slot in &mut self.redis.editions {
            (slot.entry, slot.lease) = (None, None);
            (slot.mark, slot.in_vain) = (false, false);
        }
        self.lose_stamp();
        self.lapse();
    }

    fn lapse(&mut self) {
        self.begin_generation();
        for flight in self.processes.iter_mut().flat_map(|process| &mut process.flights) {
            flight.lapsed |=
                matches!(flight.phase, Phase::Waiting { .. } | Phase::Answered { answer: Acquired::Held, .. });
        }
    }

    /// Messages no longer reach a process.
    pub(crate) fn cut(&mut self, process: usize) {
        let process = &mut self.processes[process];
        process.link = Link::Cut;
        process.inbox.clear();
    }

    /// The process notices: its link is gone.
    pub(crate) fn notice(&mut self, process: usize) {
        let holder = &mut self.processes[process];
        holder.link = Link::Down;
        holder.inbox.clear();
        holder.woken(Wake::Released);
        holder.recovery = None;
        let Some(running @ Invalidating { stage: Stage::Sent | Stage::HalfExecuted | Stage::Executed, .. }) =
            &mut holder.invalidating
        else {
            return;
        };
        let Invalidating { mode, version, stage, .. } = *running;
        running.stage = Stage::Failed;
        // What was sent may still arrive, unless the server it was sent to is gone.
        if stage == Stage::Sent && self.spent.failovers == 0 {
            self.send_late(Late::Invalidate { process, mode, version });
        }
    }

    /// The process subscribes again.
    pub(crate) fn reconnect(&mut self, process: usize) {
        let (mutant, server) = (self.mutant, self.spent.failovers);
        let process = &mut self.processes[process];
        let told = self.redis.told(process.edition, 0);
        process.link = Link::Up;
        process.floors.gap = told;
        let is_same = process.server == server || mutant == Some(Mutant::TakesEachServerForTheSame);
        let is_mended = process.mended == process.epoch || mutant == Some(Mutant::ForgetsOlderGap);
        process.server = server;
        process.resubscribed(is_same && is_mended, mutant);
    }

    /// The server does not execute an invalidation: it is read-only, say.
    pub(crate) fn refuse(&mut self, process: usize) {
        if let Some(running) = &mut self.processes[process].invalidating {
            running.stage = Stage::Failed;
        }
    }

    /// The breaker is open: what has to be told first is looked up.
    pub(crate) fn begin_recovery(&mut self, process: usize) {
        let forgets = self.is(Mutant::ForgetsAcknowledged);
        let process = &mut self.processes[process];
        let gap = (process.epoch > process.mended).then_some(process.epoch);
        let all = gap.is_some() && !forgets;
        let unsent = process.journal.iter().filter(|record| all || record.pending);
        let unsent = unsent.map(|record| (record.mode, record.version)).collect();
        process.recovery = Some(Attempt { reasons: process.breaker, gap, unsent });
    }

    /// One of them is told, and acknowledged.
    pub(crate) fn replay(&mut self, process: usize) {
        let Some(attempt) = &mut self.processes[process].recovery else { return };
        let Some((mode, version)) = attempt.unsent.pop() else { return };
        self.tell(process, mode, version);
        let (mutant, found) = (self.mutant, self.redis.stamp);
        let process = &mut self.processes[process];
        if mode != Mode::Restamp {
            process.renumbered(found);
        }
        match (mutant, mode) {
            (Some(Mutant::RecoveryTellsRedisOnly), Mode::Restamp) => process.forget(),
            (Some(Mutant::RecoveryTellsRedisOnly), _) => {}
            _ => process.invalidate(mode, mutant, false),
        }
        process.note_acknowledged(mode, version);
    }

    /// All was told: the breaker closes, unless there are other reasons by now.
    pub(crate) fn end_recovery(&mut self, process: usize) {
        let closes_anyway = self.is(Mutant::ClosesWhateverCame);
        let process = &mut self.processes[process];
        let Some(Attempt { reasons, gap, .. }) = process.recovery.take() else { return };
        process.mended = process.mended.max(gap.unwrap_or(0));
        if process.breaker == reasons || (closes_anyway && process.is_open()) {
            process.breaker += 1;
        }
    }

    /// A replica that lags becomes the server, and every link is lost. What was not executed yet may be as good as not sent.
    pub(crate) fn fail_over(&mut self) {
        let Some(replica) = self.replica.take() else { return };
        self.redis = replica;
        self.lapse();
        self.late.clear();
        self.forget_dues(self.redis.editions.each_ref().map(|slot| slot.floor.max(slot.untold)));
        (0..self.processes.len()).for_each(|process| self.notice(process));
    }
}

impl Process {
    /// `kept`: the server has what it had acknowledged.
    fn resubscribed(&mut self, kept: bool, mutant: Option<Mutant>) {
        if mutant != Some(Mutant::NumbersStayOnReconnect) {
            self.forget();
        }
        if mutant != Some(Mutant::EpochStaysOnReconnect) {
            self.epoch += 1;
        }
        if !matches!(mutant, Some(Mutant::JoinsAcrossGap | Mutant::EpochAfterGet)) {
            self.flights.iter_mut().for_each(|flight| flight.attached = false);
        }
        self.putting.iter_mut().for_each(|putting| putting.attached = false);
        if kept || self.journal.is_empty() {
            self.mended = self.epoch;
        } else if mutant != Some(Mutant::ReadsBeforeReplay) {
            self.open_breaker();
        }
    }
}
