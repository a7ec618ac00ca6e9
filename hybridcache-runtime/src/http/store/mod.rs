//! The stored form of responses: their records, tags and bytes.

pub(crate) mod entry;
pub(crate) mod record;
pub(crate) mod tags;
pub(crate) mod wire;
