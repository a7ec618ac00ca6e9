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

impl Bound {
    /// The greatest weight of all entries together.
    pub(crate) fn room(self) -> u64 {
        let (Self::Entries(room) | Self::Bytes(room)) = self;
        room
    }

    /// The weight of an entry: at least 1, and the same as long as the entry lives.
    pub(crate) fn weight_of(self, entry: &Entry) -> u64 {
        match (self, &entry.meta) {
            (Self::Bytes(_), meta) => meta.weight.max(1).into(),
            (Self::Entries(_), meta) if meta.key.function.is_by_size() => {
                meta.weight.div_ceil(BYTES_OF_ONE).max(1).into()
            }
            (Self::Entries(_), _) => 1,
        }
    }
}
