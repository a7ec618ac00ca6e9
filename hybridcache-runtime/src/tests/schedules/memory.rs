//! Entries that are read, stored, removed and evicted at the same time. Whether what is seen is right, and whether the
//! index, the policy and what messages find agree, is said in `memory/model.rs`.

use std::sync::Arc;

use shuttle::thread::spawn;

use super::explore;
use crate::memory::Memory;
use crate::memory::model::{Modelled, POLICIES};
use crate::shared::Invalidation::{Delete, Expire};

type Step = fn(&Modelled);

const KEY: usize = 0;
/// Of another version of the same function: messages mean both.
const TWIN: usize = 1;
const OTHER_KEY: usize = 2;

/// Runs each of these in a thread of its own, over what `before` leaves.
fn race(modelled: Modelled, before: Step, steps: &[Step]) {
    let modelled = Arc::new(modelled);
    before(&modelled);
    let threads: Vec<_> = steps.iter().map(|step| (*step, modelled.clone())).collect();
    let threads: Vec<_> = threads.into_iter().map(|(step, modelled)| spawn(move || step(&modelled))).collect();
    modelled.assert_agreement();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    modelled.assert_settled();
    [KEY, TWIN, OTHER_KEY].iter().for_each(|nth| {
        modelled.find(*nth);
    });
}

/// With messages or without: these find what is there by other means.
fn race_in_either(before: Step, steps: &[Step]) {
    for shared in [true, false] {
        roomy(shared).for_each(|modelled| race(modelled, before, steps));
    }
}

/// One of each policy.
fn with_room_for(entries: u64, hash: fn(usize) -> u64, shared: bool) -> impl Iterator<Item = Modelled> {
    POLICIES.iter().map(move |policy| Modelled::new(Memory::entries(entries).policy(*policy), 3, hash, shared))
}

fn roomy(shared: bool) -> impl Iterator<Item = Modelled> {
    with_room_for(8, |nth| nth as u64, shared)
}

fn load(modelled: &Modelled) {
    modelled.load(KEY, 0);
}

fn load_twice(modelled: &Modelled) {
    load(modelled);
    load(modelled);
}

fn read_twice(modelled: &Modelled) {
    let held = modelled.hold(KEY);
    modelled.read(KEY);
    modelled.find(KEY);
    held.map(|held| modelled.read_held(KEY, &held));
}

fn evict(modelled: &Modelled) {
    modelled.evict(KEY);
}

/// Killed by: an index that does not kill what it replaces; ids that are not notified of a replacement.
#[test]
fn nothing_older_is_seen_after_a_replacement() {
    explore(|| race_in_either(load, &[load_twice, read_twice, evict]));
}

/// Killed by: `remove` that does not kill; the index changed before the lock is taken.
#[test]
fn nothing_is_seen_after_its_removal() {
    explore(|| race_in_either(load, &[|modelled| modelled.invalidate(KEY, Delete), load, read_twice, evict]));
}

/// It may have been evicted just before, without the lock of its stripe. Killed by: `Pinned::remove` killing the entry after it has
/// removed it. (A thousand orders do not always find that, ten thousand did.)
#[test]
fn what_is_held_is_dead_when_it_is_not_found() {
    explore(|| {
        // There is one moment in which it shows.
        for modelled in roomy(false).flat_map(|modelled| std::iter::repeat_n(Arc::new(modelled), 8)) {
            load(&modelled);
            let held = modelled.hold(KEY).unwrap();
            let evicting = modelled.clone();
            let evicting = spawn(move || evict(&evicting));
            modelled.invalidate(KEY, Delete);
            modelled.read_held(KEY, &held);
            evicting.join().unwrap();
        }
    });
}

/// Killed by: a message killing nothing; ids that are not notified of a new entry, or of one that is gone.
#[test]
fn nothing_is_seen_after_a_message_about_it() {
    explore(|| {
        let before: Step = |modelled| [KEY, TWIN].iter().for_each(|nth| modelled.load(*nth, 0));
        let read: Step = |modelled| {
            modelled.read(KEY);
            modelled.read(TWIN);
        };
        for modelled in roomy(true) {
            race(modelled, before, &[|modelled| modelled.message(TWIN, Delete), load, read, evict]);
        }
    });
}

/// Killed by: `is_fresh` or `state` not asking whether an entry lives.
#[test]
fn nothing_is_fresh_after_it_has_expired() {
    explore(|| {
        let expire: Step = |modelled| modelled.invalidate(KEY, Expire);
        let message: Step = |modelled| modelled.message(KEY, Expire);
        roomy(true).for_each(|modelled| race(modelled, load, &[expire, message, load, read_twice]));
        roomy(false).for_each(|modelled| race(modelled, load, &[expire, load, read_twice]));
    });
}

/// Killed by: `is_fresh` not looking at stamps.
#[test]
fn nothing_is_seen_after_its_group_was_cleared() {
    explore(|| race_in_either(load, &[Modelled::clear, load, read_twice, evict]));
}

/// Killed by: an excess that stays in the index; an insertion whose policy is notified under another lock than the index.
#[test]
fn keys_take_each_others_place() {
    explore(|| {
        let other: Step = |modelled| {
            modelled.load(OTHER_KEY, 0);
            modelled.read(OTHER_KEY);
        };
        let invalidate: Step = |modelled| modelled.invalidate(KEY, Delete);
        for full in with_room_for(1, |nth| nth as u64, true) {
            race(full, load, &[load_twice, other, read_twice, invalidate]);
        }
    });
}

/// Killed by: `look` or `find` not comparing keys; a replacement that leaves the other key's id.
#[test]
fn keys_with_one_hash_are_not_mixed_up() {
    explore(|| {
        let other: Step = |modelled| {
            modelled.load(OTHER_KEY, 0);
            modelled.read(OTHER_KEY);
            modelled.find(OTHER_KEY);
        };
        let invalidate: Step = |modelled| modelled.invalidate(KEY, Delete);
        for colliding in with_room_for(8, |_| 7, true) {
            race(colliding, load, &[other, read_twice, invalidate, evict]);
        }
    });
}
