//! The puts of this process that are under way.

use std::collections::HashMap;

use crate::primitives::sync::{LockExt as _, Mutex, MutexGuard};

/// The puts under way, by the id of their key.
#[derive(Debug, Default)]
pub(crate) struct Puts {
    under_way: Mutex<HashMap<u64, UnderWay>>,
}

/// The puts of one key.
#[derive(Debug, Default)]
struct UnderWay {
    count: usize,
    /// The number of the last put that has begun. The numbers count up while any put of the key is under way.
    latest: u64,
}

impl Puts {
    /// Begins a put. Earlier puts of the same key are no longer the latest.
    pub(crate) fn begin(&self, key_id: u64) -> Putting<'_> {
        let mut under_way = self.under_way();
        let of_key = under_way.entry(key_id).or_default();
        of_key.count += 1;
        of_key.latest += 1;
        Putting { puts: self, key_id, number: of_key.latest }
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<u64, UnderWay>> {
        self.under_way.lock_unpoisoned()
    }
}

/// A put under way. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Putting<'a> {
    puts: &'a Puts,
    key_id: u64,
    number: u64,
}

impl Putting<'_> {
    /// Whether no other put of the key has begun since, whether or not it is still under way.
    pub(crate) fn is_latest(&self) -> bool {
        self.puts.under_way().get(&self.key_id).is_none_or(|of_key| of_key.latest == self.number)
    }
}

impl Drop for Putting<'_> {
    fn drop(&mut self) {
        let mut under_way = self.puts.under_way();
        if let Some(of_key) = under_way.get_mut(&self.key_id) {
            of_key.count -= 1;
            if of_key.count == 0 {
                under_way.remove(&self.key_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Killed by: forgetting that a later one was there when it has ended; keeping keys that nobody puts.
    #[test]
    fn the_latest_is_the_last_that_has_begun() {
        let puts = Puts::default();
        let first = puts.begin(1);
        assert!(first.is_latest());
        let other = puts.begin(2);
        let second = puts.begin(1);
        assert!(!first.is_latest() && second.is_latest() && other.is_latest());
        drop(second);
        assert!(!first.is_latest());
        let third = puts.begin(1);
        assert!(third.is_latest() && !first.is_latest());
        drop((first, third, other));
        assert!(puts.under_way().is_empty());
        assert!(puts.begin(1).is_latest());
    }
}
