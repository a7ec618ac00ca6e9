//! The entries that a message is about.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;

use crate::primitives::identity_hash::AlreadyHashed;

/// What one entry takes here, about: two words, and the free places of a table.
pub(super) const BYTES_PER_ENTRY: u32 = 30;

/// Few enough entries are in one of them that growing it takes no time which a call would notice.
const SHARDS: usize = 64;

/// The hashes of keys in memory, by the id that messages carry. The versions of a function share one id for the same
/// arguments.
#[derive(Debug)]
pub(super) struct EntriesById {
    shards: Box<[Shard]>,
}

#[derive(Debug, Default)]
struct Shard {
    first: HashMap<u64, u64, AlreadyHashed>,
    /// Of ids with several keys, all but the first one.
    further: HashMap<u64, Vec<u64>, AlreadyHashed>,
}

impl EntriesById {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect() }
    }

    /// The key is not there yet.
    pub(super) fn add(&mut self, id: u64, hash: u64) {
        let shard = self.shard(id);
        match shard.first.entry(id) {
            Place::Vacant(place) => _ = place.insert(hash),
            Place::Occupied(_) => shard.further.entry(id).or_default().push(hash),
        }
    }

    pub(super) fn remove(&mut self, id: u64, hash: u64) {
        let shard = self.shard(id);
        let Some(further) = shard.further.get_mut(&id) else {
            shard.first.remove(&id);
            return shard.shrink();
        };
        if let Some(first) = shard.first.get_mut(&id).filter(|first| **first == hash) {
            *first = further.pop().unwrap_or(hash);
        } else {
            further.retain(|other| *other != hash);
        }
        if further.is_empty() {
            shard.further.remove(&id);
        }
    }

    pub(super) fn with_id(&self, id: u64) -> impl Iterator<Item = u64> {
        let shard = &self.shards[place(id)];
        shard.first.get(&id).into_iter().chain(shard.further.get(&id).into_iter().flatten()).copied()
    }

    fn shard(&mut self, id: u64) -> &mut Shard {
        &mut self.shards[place(id)]
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = (u64, u64)> {
        self.shards.iter().flat_map(|Shard { first, further }| {
            let further = further.iter().flat_map(|(id, hashes)| hashes.iter().map(|hash| (*id, *hash)));
            first.iter().map(|(id, hash)| (*id, *hash)).chain(further)
        })
    }
}

impl Shard {
    fn shrink(&mut self) {
        if self.first.capacity() > 8 * self.first.len() + SMALL {
            self.first.shrink_to(2 * self.first.len() + SMALL);
        }
    }
}

/// The number of ids for which a shard keeps room.
const SMALL: usize = 64;

fn place(id: u64) -> usize {
    (id >> 32) as usize % SHARDS
}
