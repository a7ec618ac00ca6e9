//! Asking the handler: one load for all requests that wait, and where its answer goes.

pub(crate) mod exchange;
pub(crate) mod load;
pub(crate) mod placement;
pub(crate) mod recording;
pub(crate) mod storability;
