//! The default policy: CLOCK for how recently an entry was read, TinyLFU for how often its key was requested.
//!
//! A new entry is in the window, a small queue. From there it comes into the main ring, if there is room, or if its key
//! was requested more often than those that have to make room for it. A hit only counts two bits of its entry
//! ([`Meta::visit`]); the search for an entry to evict takes them into account.

use std::sync::Arc;

use super::bound::Scale;
use super::index::Pinned;
use super::ring::{IN_WINDOW, MOST, Ring};
use super::sketch::Sketch;
use crate::entry::{Entry, Meta};

/// The window's share of the room: one part of this many.
const WINDOW: u64 = 100;

/// The newest entry stays in the window, however small that is, unless it takes more than one part of this many of the
/// room.
const LARGE: u64 = 8;

/// How many entries that were read lately are passed in the search for one to evict. In a memory of a million entries
/// that were all read, the hand would go round for a tenth of a second, while all other changes wait.
const PASSED: usize = 64;

#[derive(Debug)]
pub(super) struct ClockPolicy {
    scale: Scale,
    window: Ring,
    main: Ring,
    requested: Sketch,
    /// The worth of what was evicted so far for the entry that leaves the window next.
    spent: u32,
}

impl ClockPolicy {
    pub(super) fn new(scale: Scale) -> Self {
        let (window, main) = (Ring::new(IN_WINDOW), Ring::new(0));
        Self { scale, window, main, requested: Sketch::default(), spent: 0 }
    }

    /// An entry takes the place and the visits of the one that it replaces.
    pub(super) fn insert(&mut self, entry: &Entry, replaced: Option<&Entry>) {
        self.requested.fit(self.len() + 1);
        self.requested.count(entry.meta.key.hash(), 1);
        let weight = self.scale.weight_of(entry);
        let Some(replaced) = replaced else { return self.window.push(&entry.meta, weight) };
        entry.meta.succeed(&replaced.meta);
        let before = self.scale.weight_of(replaced);
        let ring = self.ring_of(&replaced.meta);
        ring.weight = ring.weight - before + weight;
    }

    pub(super) fn remove(&mut self, entry: &Entry, entries: &Pinned<'_>) {
        let weight = self.scale.weight_of(entry);
        self.ring_of(&entry.meta).take(&entry.meta, weight, entries);
    }

    /// The hash of a key for which there is no room. The policy has forgotten it.
    pub(super) fn excess(&mut self, entries: &Pinned<'_>) -> Option<u64> {
        loop {
            let candidate = self.candidate(entries);
            if self.weight() > self.scale.room() || self.len() >= MOST {
                return self.evict(candidate, entries);
            }
            // There is room for the candidate.
            let candidate = candidate?;
            self.leave_window(candidate, entries);
            self.main.push(&candidate.meta, self.scale.weight_of(candidate));
        }
    }

    fn evict(&mut self, candidate: Option<&Arc<Entry>>, entries: &Pinned<'_>) -> Option<u64> {
        let evicted = match (self.victim(entries), candidate) {
            (Some(victim), Some(candidate)) if !self.is_worth_more(candidate, victim) => {
                self.leave_window(candidate, entries);
                candidate
            }
            (Some(victim), _) => {
                self.main.take_at_hand(&victim.meta, self.scale.weight_of(victim), entries);
                victim
            }
            (None, _) => {
                let oldest = self.window.at_hand().and_then(|hash| entries.get(hash))?;
                self.leave_window(oldest, entries);
                oldest
            }
        };
        Some(evicted.meta.key.hash())
    }

    /// The oldest entry of the window, if the window has more than its share.
    fn candidate<'a>(&self, entries: &'a Pinned<'_>) -> Option<&'a Arc<Entry>> {
        let room = self.scale.room();
        let may_be_alone = self.window.len() <= 1 && self.window.weight <= (room / LARGE).max(1);
        if self.window.weight <= room / WINDOW || may_be_alone {
            return None;
        }
        entries.get(self.window.at_hand()?)
    }

    /// Turns the main ring's hand to the next entry that was not read since the hand passed it.
    fn victim<'a>(&mut self, entries: &'a Pinned<'_>) -> Option<&'a Arc<Entry>> {
        for _ in 0..PASSED {
            let entry = entries.get(self.main.at_hand()?)?;
            let visits = entry.meta.take_visits();
            if visits == 0 {
                return Some(entry);
            }
            self.requested.count(entry.meta.key.hash(), visits);
            self.main.pass();
        }
        entries.get(self.main.at_hand()?)
    }

    /// Whether the candidate is worth all entries together that it displaces.
    fn is_worth_more(&mut self, candidate: &Entry, victim: &Entry) -> bool {
        let all = self.spent + self.worth(&victim.meta);
        let is_worth_more = self.worth(&candidate.meta) > all;
        if is_worth_more {
            self.spent = all;
        }
        is_worth_more
    }

    fn worth(&self, meta: &Meta) -> u32 {
        (self.requested.estimate(meta.key.hash()) + meta.visits()).into()
    }

    fn leave_window(&mut self, oldest: &Entry, entries: &Pinned<'_>) {
        self.spent = 0;
        self.window.take_at_hand(&oldest.meta, self.scale.weight_of(oldest), entries);
    }

    fn ring_of(&mut self, meta: &Meta) -> &mut Ring {
        if meta.place() & IN_WINDOW == 0 { &mut self.main } else { &mut self.window }
    }

    fn len(&self) -> usize {
        self.window.len() + self.main.len()
    }

    pub(super) fn weight(&self) -> u64 {
        self.window.weight + self.main.weight
    }

    /// The place and the hash of each key.
    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = (u32, u64)> {
        self.window.all().chain(self.main.all())
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests;
