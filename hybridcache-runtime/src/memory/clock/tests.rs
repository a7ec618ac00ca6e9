//! What the policy promises, on a memory tier. That it agrees with the index: `memory/tests.rs`.

#![allow(clippy::unwrap_used, reason = "a test panics to fail")]

use super::*;
use crate::memory::Memory;
use crate::memory::model::Modelled;
use crate::memory::policy::Keeper;
use crate::primitives::sync::LockExt as _;
use crate::shared::Invalidation::Delete;

fn own(nth: usize) -> u64 {
    (nth as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn modelled(memory: Memory, keys: usize) -> Modelled {
    Modelled::new(memory, keys, own, false)
}

fn with_policy<R>(modelled: &Modelled, see: impl FnOnce(&ClockPolicy) -> R) -> R {
    match &modelled.local.memory.bookkeeping.lock_unpoisoned().policy {
        Keeper::Clock(clock) => see(clock),
        #[cfg(feature = "moka")]
        Keeper::Moka(_) => panic!("another policy"),
    }
}

fn is_there(modelled: &Modelled, nth: usize) -> bool {
    modelled.find(nth).is_some()
}

/// Killed by: a count that goes on; a hit that counts nothing.
#[test]
fn a_hit_counts_up_to_three() {
    let modelled = modelled(Memory::entries(8), 1);
    modelled.load(0, 0);
    let visits = (0..6).map(|_| {
        modelled.read(0);
        modelled.hold(0).unwrap().meta.visits()
    });
    assert_eq!(visits.collect::<Vec<_>>(), [1, 2, 3, 3, 3, 3]);
}

/// A refreshed key keeps its second chance. Killed by: a replacement that begins without visits, or in the window.
#[test]
fn a_replacement_has_the_place_and_the_visits_of_its_predecessor() {
    let modelled = modelled(Memory::entries(8), 4);
    (0..4).for_each(|nth| modelled.load(nth, 0));
    (0..2).for_each(|_| _ = modelled.read(1));
    let before = modelled.hold(1).unwrap();
    modelled.load(1, 0);
    let after = modelled.hold(1).unwrap();
    assert!(!Arc::ptr_eq(&before, &after));
    assert_eq!((after.meta.place(), after.meta.visits()), (before.meta.place(), 2));
    modelled.assert_settled();
}

/// Killed by: a window that leaves no room for the newest entry.
#[test]
fn the_newest_entry_stays_whatever_the_others_are_worth() {
    for room in [1, 2, 50, 150] {
        let modelled = modelled(Memory::entries(room), 400);
        for nth in 0..400 {
            modelled.load(nth, 0);
            (0..4).for_each(|_| _ = modelled.read(nth));
            assert!(is_there(&modelled, nth), "{nth} of {room}");
        }
    }
}

/// Killed by: taking the newest entry out of the window, or any but the oldest; a share of another size.
#[test]
fn the_window_is_a_queue() {
    let modelled = modelled(Memory::entries(1_000), 3_000);
    for nth in 0..3_000 {
        modelled.load(nth, 0);
        let is_in_window = |nth| modelled.hold(nth).is_some_and(|entry| entry.meta.place() & IN_WINDOW != 0);
        if nth > 1_000 {
            assert!((nth - 9..=nth).all(is_in_window) && !is_in_window(nth - 10), "{nth}");
        }
    }
}

/// Killed by: no comparison of requests; a victim that was read since the hand passed it.
#[test]
fn what_is_requested_often_stays_where_many_keys_are_requested_once() {
    let modelled = modelled(Memory::entries(100), 5_000);
    for nth in 0..5_000 {
        modelled.load(nth, 0);
        (0..50).filter(|wanted| *wanted < nth).for_each(|wanted| {
            if modelled.read(wanted).is_none() {
                modelled.load(wanted, 0);
            }
        });
    }
    let left = (0..50).filter(|nth| is_there(&modelled, *nth)).count();
    assert!(left >= 49, "{left} of 50");
}

/// Killed by: a hand that goes round until it finds an entry that was not read.
#[test]
fn a_search_passes_few_entries() {
    let modelled = modelled(Memory::entries(2_000), 2_001);
    (0..2_000).for_each(|nth| modelled.load(nth, 0));
    (0..2_000).for_each(|nth| _ = modelled.read(nth));
    modelled.load(2_000, 0);
    let passed = (0..2_000).filter_map(|nth| modelled.hold(nth)).filter(|entry| entry.meta.visits() == 0).count();
    assert!((1..=PASSED).contains(&passed), "{passed}");
    modelled.assert_settled();
}

/// Killed by: an entry that clears the room for itself before it turns out not to fit in.
#[test]
fn a_value_larger_than_the_room_evicts_only_its_predecessor() {
    let modelled = modelled(Memory::bytes(100_000), 22);
    (0..20).for_each(|nth| modelled.load(nth, 1_000));
    modelled.load(20, 200_000);
    modelled.load(7, 200_000);
    let gone: Vec<_> = (0..22).filter(|nth| !is_there(&modelled, *nth)).collect();
    assert_eq!(gone, [7, 20, 21]);
    modelled.assert_settled();
}

/// Killed by: the newest entry staying whatever it takes; comparing a large entry with each of its victims alone.
#[test]
fn a_large_value_displaces_no_more_than_it_is_worth() {
    let modelled = modelled(Memory::bytes(100_000), 50);
    modelled.load(40, 60_000);
    assert!(is_there(&modelled, 40), "there is room");
    modelled.invalidate(40, Delete);
    for _ in 0..3 {
        for nth in 0..30 {
            if modelled.read(nth).is_none() {
                modelled.load(nth, 2_500);
            }
        }
    }
    let before = (0..30).filter(|nth| is_there(&modelled, *nth)).count();
    assert!(before >= 29, "{before}");
    for _ in 0..5 {
        modelled.load(41, 60_000);
        modelled.assert_settled();
    }
    let after = (0..30).filter(|nth| is_there(&modelled, *nth)).count();
    assert!(after + 6 >= before, "{before} and then {after}");
}

/// Killed by: rings that keep their room.
#[test]
fn rings_shrink_after_a_mass_removal() {
    let modelled = modelled(Memory::entries(20_000), 10_000);
    (0..10_000).for_each(|nth| modelled.load(nth, 0));
    (0..9_990).for_each(|nth| modelled.invalidate(nth, Delete));
    modelled.assert_settled();
    let room = with_policy(&modelled, |clock| clock.window.capacity() + clock.main.capacity());
    assert!(room < 1_000, "{room} places for ten");
    (0..10_000).for_each(|nth| modelled.load(nth, 0));
    modelled.assert_settled();
}
