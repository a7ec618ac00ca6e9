//! Tests of the inside, across folders.

#[cfg(all(test, shuttle))]
pub(crate) mod schedules;
