//! The locks and atomics of all state that threads share. In the tests of `tests/schedules.rs` they are those of the
//! `shuttle` crate, which runs the threads of a test one at a time, and chooses at each use of a lock or atomic which
//! thread continues.

use std::sync::PoisonError;

#[cfg(all(test, shuttle))]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};
#[cfg(not(all(test, shuttle)))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};

/// Takes a lock even if a former holder panicked. The state that the locks of this crate guard is consistent after each
/// statement, so a panic leaves nothing half done.
pub(crate) trait LockExt {
    type Guard<'a>
    where
        Self: 'a;

    fn lock_unpoisoned(&self) -> Self::Guard<'_>;
}

/// The same for a lock with concurrent readers.
pub(crate) trait RwLockExt {
    type Content;

    fn read_unpoisoned(&self) -> std::sync::RwLockReadGuard<'_, Self::Content>;

    fn write_unpoisoned(&self) -> std::sync::RwLockWriteGuard<'_, Self::Content>;
}

impl<T> LockExt for std::sync::Mutex<T> {
    type Guard<'a>
        = std::sync::MutexGuard<'a, T>
    where
        T: 'a;

    fn lock_unpoisoned(&self) -> Self::Guard<'_> {
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, shuttle))]
impl<T> LockExt for shuttle::sync::Mutex<T> {
    type Guard<'a>
        = shuttle::sync::MutexGuard<'a, T>
    where
        T: 'a;

    fn lock_unpoisoned(&self) -> Self::Guard<'_> {
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> RwLockExt for std::sync::RwLock<T> {
    type Content = T;

    fn read_unpoisoned(&self) -> std::sync::RwLockReadGuard<'_, T> {
        self.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_unpoisoned(&self) -> std::sync::RwLockWriteGuard<'_, T> {
        self.write().unwrap_or_else(PoisonError::into_inner)
    }
}
