//! Locks and atomics of what threads share. In the tests of `schedules.rs` they are those of the `shuttle` crate, which
//! runs the threads of a test one at a time and decides at each use of them who goes on.

#[cfg(all(test, shuttle))]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};
#[cfg(not(all(test, shuttle)))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};
