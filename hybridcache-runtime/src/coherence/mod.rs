//! What makes an entry void: the stamps of its groups, and the epoch of the message stream.

pub(crate) mod epoch;
pub(crate) mod outage;
pub(crate) mod stamps;
