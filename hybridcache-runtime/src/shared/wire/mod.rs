//! The format of what is stored in a shared tier: names, envelopes, values.

pub(crate) mod codec;
pub(crate) mod envelope;
pub(crate) mod names;
#[cfg(test)]
pub(crate) mod vectors;
