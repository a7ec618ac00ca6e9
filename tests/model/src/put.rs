//! A put: `put` in `hybridcache-runtime/src/cache/write.rs`. Its two steps are sent, executed and answered each by itself.

use crate::floor::Mode;
use crate::mutant::Mutant;
use crate::process::{Held, Invalidating, Process, Record, Rest, Seen, Stage};
use crate::redis::{Editions, Lease, Stored, Token};
use crate::world::{Late, World};

/// A put under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Putting {
    pub version: u8,
    pub token: Token,
    /// The stamp as it stood when the put began.
    pub seen: Seen,
    pub epoch: u8,
    /// Whether memory may take the value: nothing has invalidated the key since the put began.
    pub attached: bool,
    pub step: Step,
}

/// How far a put is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The first step was sent: it deletes, and takes the lease by force. Beside it the stamp is created where it is not known.
    Seizing,
    Seized {
        created: Option<(u8, Editions)>,
        /// The stamp's number as it is.
        found: u8,
    },
    /// The stamp is another one than the one under which the put began: this process's edition is registered in it.
    Creating,
    Created((u8, Editions)),
    /// The second step was sent, under the lease.
    Publishing,
    Published {
        stored: bool,
    },
}

/// What a put sends that can come late: the value is in the second step, and under [`Mutant::PutInOneStep`] in the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sent {
    pub process: usize,
    pub version: u8,
    pub token: Token,
    pub stamp: u8,
}

impl Putting {
    fn sent(&self, process: usize) -> Sent {
        let Self { version, token, seen, .. } = *self;
        Sent { process, version, token, stamp: seen.number }
    }
}

impl World {
    /// Somebody writes to the database and then puts what was written.
    pub(crate) fn put(&mut self, process: usize) {
        self.database += 1;
        let (version, mutant) = (self.database, self.mutant);
        let holder = &mut self.processes[process];
        holder.invalidate(Mode::Delete, mutant, false);
        holder.journal.push(Record { mode: Mode::Delete, version, pending: true });
        holder.attempts += 1;
        let token = 1 + (process as u8) * 64 + holder.attempts;
        let (seen, epoch) = (holder.capture(mutant), holder.epoch);
        let putting = Putting { version, token, seen, epoch, attached: true, step: Step::Seizing };
        if holder.is_linked() {
            holder.putting = Some(putting);
        } else {
            holder.put_is_pending(version);
        }
    }

    /// The server executes a step.
    pub(crate) fn execute_put(&mut self, process: usize) {
        let Some(putting) = self.processes[process].putting else { return };
        let mut version = putting.version;
        let step = match putting.step {
            Step::Seizing => {
                // Of an invalidation that is under way at the same time either may come first, so this is when the put is.
                // (One that was given up is from when it was begun.)
                version = self.renew_version(process, version);
                self.seize(Putting { version, ..putting }.sent(process));
                let created = (putting.seen.number == 0).then(|| self.register(process, None));
                Step::Seized { created, found: self.redis.stamp }
            }
            Step::Creating => Step::Created(self.register(process, None)),
            Step::Publishing => Step::Published { stored: self.publish_put(putting.sent(process)) },
            other => other,
        };
        self.processes[process].putting = Some(Putting { version, step, ..putting });
    }

    fn renew_version(&mut self, process: usize, version: u8) -> u8 {
        self.database += 1;
        let record = self.processes[process].journal.iter_mut().find(|record| record.version == version);
        record.into_iter().for_each(|record| record.version = self.database);
        self.database
    }

    /// The first step: an invalidation, and the lease is the put's, whoever had it.
    pub(crate) fn seize(&mut self, Sent { process, version, token, stamp }: Sent) {
        self.tell(process, Mode::Delete, version);
        let (is_one_step, generation) = (self.is(Mutant::PutInOneStep), self.redis.generation);
        let slot = &mut self.redis.editions[self.processes[process].edition];
        if is_one_step {
            slot.entry = Some(Stored { version, fence: token, expired: false, stamp });
        } else {
            slot.lease = Some(Lease { token, waiters: 0, generation, marked: false });
        }
    }

    /// The second step, behind the fence.
    pub(crate) fn publish_put(&mut self, Sent { process, version, token, stamp }: Sent) -> bool {
        let entry = Stored { version, fence: token, expired: false, stamp };
        if self.is(Mutant::PutIgnoresToken) {
            self.redis.editions[self.processes[process].edition].entry = Some(entry);
            return true;
        }
        self.publish(entry)
    }

    /// The answer to a step arrives.
    pub(crate) fn receive_put(&mut self, process: usize) {
        let mutant = self.mutant;
        let holder = &mut self.processes[process];
        let Some(Putting { version, token, mut seen, attached, .. }) = holder.putting else { return };
        let Some(putting) = &mut holder.putting else { return };
        match putting.step {
            Step::Seized { created, found } => {
                holder.journal_is_told(version);
                if let Some(created) = created {
                    holder.learn(&mut seen, created, mutant);
                }
                holder.renumbered(found);
                let is_current = seen.generation == holder.stamp.generation && seen.number != 0;
                let step = match is_current {
                    _ if mutant == Some(Mutant::PutInOneStep) => Step::Published { stored: true },
                    true => Step::Publishing,
                    false => {
                        seen = holder.capture(mutant);
                        if seen.number == 0 { Step::Creating } else { Step::Publishing }
                    }
                };
                holder.putting = holder.putting.map(|putting| Putting { seen, step, ..putting });
            }
            Step::Created(created) => {
                holder.learn(&mut seen, created, mutant);
                holder.putting = holder.putting.map(|putting| Putting { seen, step: Step::Publishing, ..putting });
                // There is nothing to put into the envelope, and the value stays in this process.
                if seen.number == 0 {
                    self.send_late(Late::Release(token, false));
                    self.end_put(process, attached, 0);
                }
            }
            Step::Published { stored } => self.end_put(process, stored, token),
            _ => {}
        }
    }

    /// There is no answer, or its caller goes away.
    pub(crate) fn fail_put(&mut self, process: usize) {
        let holder = &mut self.processes[process];
        let Some(putting) = holder.putting else { return };
        let releases = holder.is_linked();
        let sent = putting.sent(process);
        match putting.step {
            Step::Seizing => {
                holder.put_is_pending(putting.version);
                self.send_late(Late::Seize(sent));
            }
            Step::Seized { .. } => holder.put_is_pending(putting.version),
            Step::Creating | Step::Created(_) => self.end_put(process, false, 0),
            Step::Publishing => {
                self.end_put(process, false, 0);
                self.send_late(Late::Put(sent));
            }
            Step::Published { .. } => self.end_put(process, false, 0),
        }
        if releases {
            self.send_late(Late::Release(putting.token, false));
        }
    }

    /// Memory takes the value, or forgets once more.
    fn end_put(&mut self, process: usize, stored: bool, fence: Token) {
        let mutant = self.mutant;
        let holder = &mut self.processes[process];
        let Some(Putting { version, seen, epoch, attached, .. }) = holder.putting.take() else { return };
        if stored && attached {
            holder.flights.iter_mut().for_each(|flight| flight.attached = false);
            holder.memory = Some(Held { version, fence, expired: false, seen, epoch });
        } else {
            holder.invalidate(Mode::Delete, mutant, false);
        }
        holder.floors.own.raise(Mode::Delete, version);
    }
}

impl Process {
    /// As an invalidation that failed.
    fn put_is_pending(&mut self, version: u8) {
        self.putting = None;
        self.invalidating =
            Some(Invalidating { mode: Mode::Delete, version, stage: Stage::Failed, rest: Rest::Nothing, found: 0 });
    }
}
