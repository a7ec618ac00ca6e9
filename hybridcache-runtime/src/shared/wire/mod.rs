//! The format of what is stored in a shared tier: names, envelopes, values.

pub(crate) mod codec;
pub(crate) mod compression;
pub(crate) mod envelope;
pub(crate) mod names;
pub(crate) mod packing;
#[cfg(feature = "encryption")]
pub(crate) mod sealed;
#[cfg(test)]
pub(crate) mod vectors;
