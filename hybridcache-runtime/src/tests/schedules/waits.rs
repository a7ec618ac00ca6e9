//! Waits for another process's load against the messages that end them. A lost wake-up is a deadlock, which shuttle
//! finds.

use std::sync::Arc;

use shuttle::future::block_on;
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::thread::spawn;

use super::explore;
use crate::shared::Wake;
use crate::shared::wakeups::Wakeups;

const KEY: u64 = 1;
const OTHER_KEY: u64 = 2;

fn waits(wake: fn(&Wakeups)) {
    let (waiters, held) = (Arc::new(Wakeups::default()), Arc::new(AtomicU64::new(1)));
    let waiting: Vec<_> = [KEY, KEY, OTHER_KEY]
        .into_iter()
        .map(|key| {
            let (waiters, held) = (waiters.clone(), held.clone());
            spawn(move || {
                // As in `engine/lease.rs`: the waiter registers first, and then requests the lease.
                let waiter = waiters.register(key);
                let is_held = held.load(Ordering::SeqCst) == 1;
                if is_held && key == KEY {
                    assert_eq!(block_on(waiter.woken()), Wake::Released);
                }
            })
        })
        .collect();
    held.store(0, Ordering::SeqCst);
    wake(&waiters);
    waiting.into_iter().for_each(|waiting| waiting.join().unwrap());
}

/// Killed by: registering after the question; telling of a message before it stands in the slot.
#[test]
fn no_wake_up_is_lost() {
    explore(|| waits(|waiters| waiters.wake(KEY, Wake::Released)));
}

/// Killed by: `wake_all` waking nobody.
#[test]
fn the_end_of_a_connection_wakes_everybody() {
    explore(|| waits(|waiters| waiters.wake_all(Wake::Released)));
}

/// Killed by: `drop` removing by key.
#[test]
fn the_end_of_one_wait_leaves_the_others() {
    explore(|| {
        let waiters = Arc::new(Wakeups::default());
        let (stays, goes) = (waiters.register(KEY), waiters.register(KEY));
        let going = spawn(move || drop(goes));
        let telling = waiters.clone();
        let telling = spawn(move || telling.wake(KEY, Wake::Published));
        assert_eq!(block_on(stays.woken()), Wake::Published);
        going.join().unwrap();
        telling.join().unwrap();
    });
}
