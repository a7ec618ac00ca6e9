//! What is read, stored, removed and given up at the same time. moka gives up whenever it likes: it may hold a key for whose
//! entry there is no more room when the next one is stored. Whether what is seen is right, and whether the index, moka and
//! what messages find agree in the end, is said in `memory/model.rs`.

use std::sync::Arc;

use shuttle::thread::spawn;

use super::explore;
use crate::memory::Memory;
use crate::memory::model::Modelled;
use crate::memory::reads::Reads;
use crate::primitives::thread_slot::ThreadSlot;
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
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    modelled.assert_agreement();
    [KEY, TWIN, OTHER_KEY].iter().for_each(|nth| {
        modelled.find(*nth);
    });
}

/// With messages or without: these find what is there by other means.
fn race_in_either(before: Step, steps: &[Step]) {
    for shared in [true, false] {
        race(roomy(shared), before, steps);
    }
}

fn roomy(shared: bool) -> Modelled {
    Modelled::new(Memory::entries(8), 3, |nth| nth as u64, shared)
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

fn give_up(modelled: &Modelled) {
    modelled.give_up(KEY);
}

/// Killed by: `insert` that tells moka first, or does not forget what it replaces; `forget` not killing; `held.rs` going by the
/// id alone.
#[test]
fn nothing_older_is_seen_after_a_replacement() {
    explore(|| race_in_either(load, &[load_twice, read_twice, give_up]));
}

/// Killed by: `remove` leaving the index to the listener, who may not have done yet what moka has.
#[test]
fn nothing_is_seen_after_its_removal() {
    explore(|| race_in_either(load, &[|modelled| modelled.invalidate(KEY, Delete), load, read_twice, give_up]));
}

/// moka may have given it up just before, and whoever takes it out for that be late. Killed by: `Index::remove` killing what it has
/// taken out, not what it takes out. (A thousand orders do not always find that, ten thousand did.)
#[test]
fn what_is_held_is_dead_when_it_is_not_found() {
    explore(|| {
        let modelled = Arc::new(roomy(false));
        // There is one moment in which it shows.
        for _ in 0..8 {
            load(&modelled);
            let held = modelled.hold(KEY).unwrap();
            let giving_up = modelled.clone();
            let giving_up = spawn(move || give_up(&giving_up));
            modelled.invalidate(KEY, Delete);
            modelled.read_held(KEY, &held);
            giving_up.join().unwrap();
        }
    });
}

/// Killed by: a message killing nothing; the index telling `held.rs` last of a new entry, or never that one is gone.
#[test]
fn nothing_is_seen_after_a_message_about_it() {
    explore(|| {
        let before: Step = |modelled| [KEY, TWIN].iter().for_each(|nth| modelled.load(*nth, 0));
        let read: Step = |modelled| {
            modelled.read(KEY);
            modelled.read(TWIN);
        };
        race(roomy(true), before, &[|modelled| modelled.message(TWIN, Delete), load, read, give_up]);
    });
}

/// Killed by: `is_fresh` or `state` not asking whether an entry lives.
#[test]
fn nothing_is_fresh_after_it_has_expired() {
    explore(|| {
        let expire: Step = |modelled| modelled.invalidate(KEY, Expire);
        race(roomy(true), load, &[expire, |modelled| modelled.message(KEY, Expire), load, read_twice]);
        race(roomy(false), load, &[expire, load, read_twice]);
    });
}

/// Killed by: `is_fresh` not looking at stamps.
#[test]
fn nothing_is_seen_after_its_group_was_cleared() {
    explore(|| race_in_either(load, &[Modelled::clear, load, read_twice, give_up]));
}

/// Killed by: `given_up` leaving the index as it is; `insert` that tells moka first, or nothing.
#[test]
fn keys_take_each_others_place() {
    explore(|| {
        let full = Modelled::new(Memory::entries(1), 3, |nth| nth as u64, true);
        let other: Step = |modelled| {
            modelled.load(OTHER_KEY, 0);
            modelled.read(OTHER_KEY);
        };
        race(full, load, &[load_twice, other, read_twice, |modelled| modelled.invalidate(KEY, Delete)]);
    });
}

/// Killed by: `look` or `find` not comparing keys; `given_up` ignoring that moka was told to let go.
#[test]
fn keys_with_one_hash_are_not_mixed_up() {
    explore(|| {
        let colliding = Modelled::new(Memory::entries(8), 3, |_| 7, true);
        let other: Step = |modelled| {
            modelled.load(OTHER_KEY, 0);
            modelled.read(OTHER_KEY);
            modelled.find(OTHER_KEY);
        };
        race(colliding, load, &[other, read_twice, |modelled| modelled.invalidate(KEY, Delete), give_up]);
    });
}

/// They can put each other's count back. Killed by: `next` going on where it was, not where the count is.
#[test]
fn of_reads_that_share_a_ring_only_such_are_told() {
    explore(|| {
        let (reads, slot) = (Arc::new(Reads::default()), ThreadSlot::mine());
        let readers: Vec<_> = [1, 2]
            .map(|thread| (thread, reads.clone()))
            .into_iter()
            .map(|(thread, reads)| spawn(move || (0..6).for_each(|nth| reads.hit(slot, 10 * thread + nth))))
            .collect();
        for _ in 0..4 {
            // Zero: its place was counted before it was written.
            let check = |hash| assert!([0, 1, 2].contains(&(hash / 10)) && hash % 10 < 6, "{hash} was not read");
            reads.tell_of(slot, check);
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}
