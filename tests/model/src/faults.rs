//! What goes wrong, and how it is made good: leases that end, lost data, lost links, the journal.

use crate::flight::{Flight, Phase};
use crate::mutant::Mutant;
use crate::process::{Link, Process};
use crate::redis::{Acquired, Wake};
use crate::world::World;

impl World {
    /// The lease ends by itself, though its holder may only be slow.
    pub(crate) fn end_lease(&mut self) {
        self.redis.lease = None;
        self.lapse();
    }

    /// `FLUSHALL`.
    pub(crate) fn lose_data(&mut self) {
        (self.redis.entry, self.redis.lease, self.redis.stamp) = (None, None, 0);
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
        self.fail_invalidation(process);
        let forgets = self.is(Mutant::ForgetsAcknowledged);
        let process = &mut self.processes[process];
        process.link = Link::Down;
        process.inbox.clear();
        process.woken(Wake::Released);
        process.journal.iter_mut().for_each(|record| record.to_replay = !(forgets && record.acknowledged));
    }

    /// The process subscribes again.
    pub(crate) fn reconnect(&mut self, process: usize) {
        let (mutant, told) = (self.mutant, self.redis.floor);
        let process = &mut self.processes[process];
        process.link = Link::Replaying;
        process.floors.gap = told;
        process.resubscribed(mutant);
    }

    /// What the journal holds is told once more.
    pub(crate) fn replay(&mut self, process: usize) {
        let record = self.processes[process].journal.iter_mut().find(|record| record.to_replay);
        if let Some(record) = record {
            record.to_replay = false;
            let (mode, version) = (record.mode, record.version);
            self.tell(process, mode, version);
        }
    }

    pub(crate) fn may_replay(&self, process: usize) -> bool {
        let Process { link, journal, .. } = &self.processes[process];
        let link_may = *link == Link::Replaying || (*link == Link::Up && self.is(Mutant::ReadsBeforeReplay));
        link_may && journal.iter().any(|record| record.to_replay)
    }

    /// Commands may be sent again.
    pub(crate) fn may_open(&self, process: usize) -> bool {
        let Process { link, journal, .. } = &self.processes[process];
        let all_told = journal.iter().all(|record| !record.to_replay);
        *link == Link::Replaying && (all_told || self.is(Mutant::ReadsBeforeReplay))
    }

    /// A replica that lags becomes the server. What the old one was sent and had not executed is lost, like every link.
    pub(crate) fn fail_over(&mut self) {
        let Some(replica) = self.replica.take() else { return };
        self.redis = replica;
        self.lapse();
        self.late.clear();
        self.forget_dues(self.redis.floor);
        for process in 0..self.processes.len() {
            self.notice(process);
            for flight in 0..self.processes[process].flights.len() {
                self.lose_command(process, flight);
            }
        }
    }

    fn lose_command(&mut self, process: usize, flight: usize) {
        let Flight { phase, .. } = self.processes[process].flights[flight];
        match phase {
            Phase::Asking(_) | Phase::Acquiring { .. } => self.load(process, flight, None),
            Phase::Publishing { version, .. } => {
                self.processes[process].flights[flight].phase = Phase::Published { version, stored: None };
            }
            _ => {}
        }
    }
}

impl Process {
    fn resubscribed(&mut self, mutant: Option<Mutant>) {
        if mutant != Some(Mutant::NumbersStayOnReconnect) {
            self.forget();
        }
        if mutant != Some(Mutant::EpochStaysOnReconnect) {
            self.epoch += 1;
        }
        if !matches!(mutant, Some(Mutant::JoinsAcrossGap | Mutant::EpochAfterGet)) {
            self.flights.iter_mut().for_each(|flight| flight.attached = false);
        }
    }
}
