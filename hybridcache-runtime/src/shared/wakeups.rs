//! The waiters in this process for loads in other processes.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;
use tokio::sync::Notify;

use crate::primitives::sync::{LockExt as _, Mutex};
use crate::shared::Wake;

/// The waiters of a cache object, by key id.
#[derive(Debug, Default)]
pub(crate) struct Wakeups {
    waiting: Mutex<HashMap<u64, SmallVec<[Arc<Mailbox>; 1]>>>,
}

/// Keeps a message that arrives before the waiter polls.
#[derive(Debug, Default)]
struct Mailbox {
    wake: Mutex<Option<Wake>>,
    arrived: Notify,
}

impl Wakeups {
    /// Called *before* the lease is requested: the wake-up may arrive before the answer.
    pub(crate) fn register(self: &Arc<Self>, key_id: u64) -> Waiter {
        let slot = Arc::new(Mailbox::default());
        self.waiting.lock_unpoisoned().entry(key_id).or_default().push(slot.clone());
        Waiter { waiters: self.clone(), key_id, slot }
    }

    pub(crate) fn wake(&self, key_id: u64, wake: Wake) {
        let waiting = self.waiting.lock_unpoisoned();
        waiting.get(&key_id).into_iter().flatten().for_each(|slot| slot.wake(wake));
    }

    pub(crate) fn wake_all(&self, wake: Wake) {
        let waiting = self.waiting.lock_unpoisoned();
        waiting.values().flatten().for_each(|slot| slot.wake(wake));
    }
}

impl Mailbox {
    fn wake(&self, wake: Wake) {
        *self.wake.lock_unpoisoned() = Some(wake);
        self.arrived.notify_one();
    }
}

/// One registered wait; dropping it ends the registration.
#[derive(Debug)]
pub(crate) struct Waiter {
    waiters: Arc<Wakeups>,
    key_id: u64,
    slot: Arc<Mailbox>,
}

impl Waiter {
    /// Waits for the next message. A message that has already arrived counts.
    pub(crate) async fn woken(&self) -> Wake {
        loop {
            if let Some(wake) = self.slot.wake.lock_unpoisoned().take() {
                return wake;
            }
            self.slot.arrived.notified().await;
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut waiting = self.waiters.waiting.lock_unpoisoned();
        if let Some(slots) = waiting.get_mut(&self.key_id) {
            slots.retain(|slot| !Arc::ptr_eq(slot, &self.slot));
            if slots.is_empty() {
                waiting.remove(&self.key_id);
            }
        }
    }
}
