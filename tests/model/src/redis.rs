//! The server: one key's entry and lease in each version of its function, one stamp, and the scripts of
//! `hybridcache-runtime/src/shared/redis`.

use crate::floor::{Floor, Mode};
use crate::mutant::Mutant;

/// Names an attempt to get the lease: a process and its count of attempts. Zero is none.
pub type Token = u8;

/// The first of the second process.
const FIRST: Token = 66;

/// A version of the function. (`version` is the database's everywhere in this model.)
pub type Edition = usize;

/// How many there may be.
pub const EDITIONS: usize = 2;

/// One bit for each edition.
pub type Editions = u8;

pub(crate) const ALL: Editions = (1 << EDITIONS) - 1;

/// What is stored in Redis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Redis {
    pub editions: [Slot; EDITIONS],
    /// The stamp's number, zero where it does not exist.
    pub stamp: u8,
    /// The editions that the stamp names.
    pub listed: Editions,
    /// Changes with each invalidation, and each time a lease ends by itself or is lost.
    pub generation: u8,
}

/// What one edition has of the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Slot {
    pub entry: Option<Stored>,
    pub lease: Option<Lease>,
    /// What is in the lease's place: a load has ended and stored nothing.
    pub mark: bool,
    /// The last load that ended under the lease stored nothing, and nothing was invalidated since.
    pub in_vain: bool,
    /// What it was told.
    pub floor: Floor,
    /// What it was not told, because the stamp did not name the edition: under the stamp's number it has nothing.
    pub untold: Floor,
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
    /// The last edition is registered from the beginning. Where there are two, it also has an entry: a version that has been
    /// there for a while, beside one that comes up.
    pub(crate) fn new(editions: usize) -> Self {
        let mut slots: [Slot; EDITIONS] = Default::default();
        if editions > 1 {
            slots[editions - 1].entry = Some(Stored { version: 0, fence: FIRST, expired: false, stamp: 1 });
        }
        Self { editions: slots, stamp: 1, listed: 1 << (editions - 1), generation: 0 }
    }

    /// The entry of an edition, unless a stamp hides it.
    pub fn usable(&self, edition: Edition) -> Option<Stored> {
        self.editions[edition].entry.filter(|entry| entry.stamp == self.stamp)
    }

    /// What an edition was told, as a process can know that uses this number. (Under a number that was lost it may find what
    /// nobody has reached, until it hears of the new one.)
    pub(crate) fn told(&self, edition: Edition, number: u8) -> Floor {
        let Slot { floor, untold, .. } = self.editions[edition];
        if number == 0 || number == self.stamp { floor.max(untold) } else { floor }
    }

    /// Whether there is an entry or a lease.
    pub(crate) fn has_data(&self) -> bool {
        self.editions.iter().any(|slot| slot.entry.is_some() || slot.lease.is_some())
    }
}

impl Slot {
    /// `SET NX`. A mark is in its way, too.
    pub(crate) fn take(&mut self, token: Token, generation: u8, mutant: Option<Mutant>) -> Option<u8> {
        if (self.lease.is_some() || self.mark) && mutant != Some(Mutant::TakesHeldLease) {
            return None;
        }
        self.lease = Some(Lease { token, waiters: 0, generation, marked: false });
        Some(generation)
    }

    pub(crate) fn acquire(
        &mut self,
        token: Token,
        seen: Token,
        (process, generation): (usize, u8),
        mutant: Option<Mutant>,
    ) -> Acquired {
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
                self.lease = Some(Lease { token, waiters: 0, generation, marked });
                Acquired::Granted(generation)
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

    pub(crate) fn invalidate(&mut self, mode: Mode, version: u8, mutant: Option<Mutant>) -> Woken {
        self.floor.raise(mode, version);
        match (mode, &mut self.entry) {
            (Mode::Delete, entry) => *entry = None,
            (Mode::Expire, Some(entry)) => entry.expired = true,
            (Mode::Expire, None) => {}
            (Mode::Restamp, _) => return (0, Wake::Released),
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
