//! Keys in a ring with a hand, as the CLOCK algorithm has them (Corbató, "A Paging Experiment with the Multics System",
//! 1968). Each entry records its own place in the ring.

use crate::entry::Meta;
use crate::memory::index::Pinned;

/// Of an entry's place: the bit that says in which ring it is.
pub(super) const IN_WINDOW: u32 = 1 << 31;

/// How many places a ring can have.
pub(super) const MOST: usize = IN_WINDOW as usize;

/// A ring without gaps: the last key takes the place of one that is taken out. In a ring that is full and turns, that
/// is the newest key, and the place is just behind the hand, so it is examined last. After other removals a key may
/// be examined earlier or later than its turn.
#[derive(Debug)]
pub(super) struct Ring {
    /// The hashes of the keys.
    places: Vec<u64>,
    /// The place that is examined next.
    hand: usize,
    pub(super) weight: u64,
    /// [`IN_WINDOW`], or zero.
    mark: u32,
}

impl Ring {
    pub(super) fn new(mark: u32) -> Self {
        Self { places: Vec::new(), hand: 0, weight: 0, mark }
    }

    pub(super) fn push(&mut self, meta: &Meta, weight: u64) {
        meta.set_place(self.places.len() as u32 | self.mark);
        self.places.push(meta.key.hash());
        self.weight += weight;
    }

    pub(super) fn take(&mut self, meta: &Meta, weight: u64, entries: &Pinned<'_>) {
        let place = (meta.place() & !IN_WINDOW) as usize;
        self.places.swap_remove(place);
        self.weight -= weight;
        if let Some(moved) = self.places.get(place).and_then(|hash| entries.get(*hash)) {
            moved.meta.set_place(place as u32 | self.mark);
        }
        self.turn_to(self.hand);
        if self.places.capacity() > 4 * self.places.len() + SMALL {
            self.places.shrink_to(2 * self.places.len() + SMALL);
        }
    }

    /// Takes out the key at the hand, whose entry this is, and moves the hand on.
    pub(super) fn take_at_hand(&mut self, meta: &Meta, weight: u64, entries: &Pinned<'_>) {
        self.take(meta, weight, entries);
        self.pass();
    }

    /// The hash of the key at the hand.
    pub(super) fn at_hand(&self) -> Option<u64> {
        self.places.get(self.hand).copied()
    }

    pub(super) fn pass(&mut self) {
        self.turn_to(self.hand + 1);
    }

    /// A ring that has shrunk or come round begins at its first place.
    fn turn_to(&mut self, hand: usize) {
        self.hand = if hand < self.places.len() { hand } else { 0 };
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.places.capacity()
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = (u32, u64)> {
        self.places.iter().enumerate().map(|(place, hash)| (place as u32 | self.mark, *hash))
    }
}

/// The number of places that a ring keeps although they are not used.
const SMALL: usize = 64;
