//! The bound of memory, and the weight of an entry towards it.

use crate::entry::Entry;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Entries(u64),
    Bytes(u64),
}

/// The number of bytes that count as one entry, for entries whose size clients choose, where memory is bounded by the
/// number of entries.
const BYTES_OF_ONE: u32 = 1 << 10;

/// A bound, and the bytes that the bookkeeping of an entry takes beside those that the entry knows of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) bound: Bound,
    pub(crate) bookkeeping: u32,
}

impl Scale {
    /// The greatest weight of all entries together.
    pub(crate) fn room(self) -> u64 {
        let (Bound::Entries(room) | Bound::Bytes(room)) = self.bound;
        room
    }

    /// The weight of an entry: at least 1, and the same as long as the entry lives.
    pub(crate) fn weight_of(self, entry: &Entry) -> u64 {
        let meta = &entry.meta;
        let weight = match self.bound {
            Bound::Bytes(_) => meta.weight.saturating_add(self.bookkeeping),
            Bound::Entries(_) if meta.key.function.is_by_size() => meta.weight.div_ceil(BYTES_OF_ONE),
            Bound::Entries(_) => 1,
        };
        weight.max(1).into()
    }
}
