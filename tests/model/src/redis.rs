//! The server: one key's entry and lease, one stamp, and the scripts of `hybridcache-runtime/src/redis`.

use crate::floor::{Floor, Mode};
use crate::mutant::Mutant;

/// Names an attempt to get the lease: a process and its count of attempts. Zero is none.
pub type Token = u8;

/// What stands in Redis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Redis {
    pub entry: Option<Stored>,
    pub lease: Option<Lease>,
    /// What stands in the lease's place: a load has ended and stored nothing.
    pub mark: bool,
    /// The last load that ended under the lease stored nothing, and nothing was invalidated since.
    pub in_vain: bool,
    /// The stamp's number, zero where it does not exist.
    pub stamp: u8,
    /// What it was told.
    pub floor: Floor,
    /// Changes with each invalidation, and each time a lease ends by itself or is lost.
    pub generation: u8,
}

/// An entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stored {
    pub version: u8,
    pub fence: Token,
    pub expired: bool,
    pub stamp: u8,
}

/// A lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    pub token: Token,
    /// One bit for each process that waits.
    pub waiters: u8,
    pub generation: u8,
    /// It was taken where the mark stood.
    pub marked: bool,
}

/// The answer to `acquire`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Acquired {
    /// In which generation.
    Granted(u8),
    Held,
    /// The load before stored nothing.
    HeldInVain,
    Changed,
}

/// Why a waiter is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wake {
    Published,
    Released,
    /// A load has ended and stored nothing.
    NothingStored,
}

/// Who is to be woken: one bit for each process.
pub type Woken = (u8, Wake);

impl Redis {
    pub(crate) fn new() -> Self {
        Self { entry: None, lease: None, mark: false, in_vain: false, stamp: 1, floor: Floor::default(), generation: 0 }
    }

    /// The entry, unless a stamp hides it.
    pub fn usable(&self) -> Option<Stored> {
        self.entry.filter(|entry| entry.stamp == self.stamp)
    }

    pub(crate) fn acquire(&mut self, token: Token, seen: Token, process: usize, mutant: Option<Mutant>) -> Acquired {
        let fence = self.entry.map_or(0, |entry| entry.fence);
        if fence != 0 && fence != seen && mutant != Some(Mutant::AcquireIgnoresSeen) {
            return Acquired::Changed;
        }
        match &mut self.lease {
            Some(lease) if lease.token == token => Acquired::Granted(lease.generation),
            Some(Lease { marked: true, .. }) => Acquired::HeldInVain,
            Some(lease) => {
                lease.waiters |= 1 << process;
                Acquired::Held
            }
            None => {
                let marked = std::mem::take(&mut self.mark);
                self.lease = Some(Lease { token, waiters: 0, generation: self.generation, marked });
                Acquired::Granted(self.generation)
            }
        }
    }

    pub(crate) fn publish(&mut self, entry: Stored, mutant: Option<Mutant>) -> (bool, Woken) {
        let held = self.lease.as_ref().is_some_and(|lease| lease.token == entry.fence);
        if !held && mutant != Some(Mutant::PublishIgnoresToken) {
            return (self.entry.is_some_and(|stored| stored.fence == entry.fence), (0, Wake::Published));
        }
        self.entry = Some(entry);
        self.in_vain = false;
        self.mark = mutant == Some(Mutant::MarkOutlivesValue) && self.lease.as_ref().is_some_and(|lease| lease.marked);
        (true, (self.end_lease(), Wake::Published))
    }

    /// `loaded`: a load has ended under it.
    pub(crate) fn release(&mut self, token: Token, loaded: bool, mutant: Option<Mutant>) -> Woken {
        let held = self.lease.as_ref().is_some_and(|lease| lease.token == token);
        if !held && mutant != Some(Mutant::ReleaseIgnoresToken) {
            return (0, Wake::Released);
        }
        (self.mark, self.in_vain) = (loaded, loaded);
        (self.end_lease(), if loaded { Wake::NothingStored } else { Wake::Released })
    }

    /// `number`: what a restamp writes.
    pub(crate) fn invalidate(&mut self, mode: Mode, version: u8, number: u8, mutant: Option<Mutant>) -> Woken {
        self.floor.raise(mode, version);
        match (mode, &mut self.entry) {
            (Mode::Delete, entry) => *entry = None,
            (Mode::Expire, Some(entry)) => entry.expired = true,
            (Mode::Expire, None) => {}
            (Mode::Restamp, _) => {
                self.stamp = number;
                return (0, Wake::Released);
            }
        }
        (self.mark, self.in_vain) = (false, false);
        let woken = match mutant {
            Some(Mutant::InvalidateKeepsLease) => 0,
            Some(Mutant::InvalidateWakesNobody) => {
                self.end_lease();
                0
            }
            _ => self.end_lease(),
        };
        (woken, Wake::Released)
    }

    /// Who waited for it.
    fn end_lease(&mut self) -> u8 {
        self.lease.take().map_or(0, |lease| lease.waiters)
    }
}
