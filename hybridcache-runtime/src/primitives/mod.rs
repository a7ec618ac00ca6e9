//! Code that every other folder may use: time, locks, limits.

pub(crate) mod background;
pub(crate) mod backoff;
pub(crate) mod clock;
pub(crate) mod identity_hash;
pub(crate) mod log_limit;
pub(crate) mod sync;
pub(crate) mod thread_slot;
pub(crate) mod timers;
