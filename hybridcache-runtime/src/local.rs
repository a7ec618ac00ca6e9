//! What this process holds, and what messages from other processes do to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

use crate::flight::Flights;
use crate::function::Key;
use crate::memory::MemoryTier;
use crate::remote::{Invalidation, Listener, Wake};
use crate::stamps::Stamps;
use crate::waiters::Waiters;

/// The state of one cache object in this process.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) memory: MemoryTier,
    pub(crate) flights: Arc<Flights>,
    pub(crate) stamps: Stamps,
    pub(crate) waiters: Arc<Waiters>,
    /// The stretch of unbroken messages. Entries filled in an earlier one may have missed their invalidation.
    epoch: AtomicU64,
}

impl Local {
    pub(crate) fn new(memory: MemoryTier) -> Self {
        Self {
            memory,
            flights: Arc::new(Flights::new()),
            stamps: Stamps::default(),
            waiters: Arc::default(),
            epoch: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Invalidates the key here: loads that began before can no longer store.
    pub(crate) fn invalidate(&self, key: &Arc<Key>, mode: Invalidation) {
        self.flights.detach(key.id(), || {
            match mode {
                Invalidation::Delete => self.memory.remove(key),
                Invalidation::Expire => self.memory.find_key(key).iter().for_each(|entry| entry.meta.expire()),
            }
            self.invalidate_held(key.id(), mode);
        });
    }

    fn invalidate_held(&self, id: u64, mode: Invalidation) {
        for entry in self.memory.with_id(id) {
            match mode {
                Invalidation::Delete => {
                    entry.meta.kill();
                    self.memory.remove(&entry.meta.key);
                }
                Invalidation::Expire => entry.meta.expire(),
            }
        }
    }
}

impl Listener for Local {
    fn woken(&self, key_id: u64, wake: Wake) {
        self.waiters.wake(key_id, wake);
    }

    fn invalidated(&self, key_id: u64, mode: Invalidation, _origin: u64) {
        self.flights.detach(key_id, || self.invalidate_held(key_id, mode));
    }

    fn restamped(&self, stamp: u64, _origin: u64) {
        self.stamps.void(stamp);
    }

    fn resubscribed(&self) {
        self.stamps.forget_all();
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    fn proven(&self, _until: Instant) {}

    fn disconnected(&self) {
        self.waiters.wake_all(Wake::Released);
    }
}
