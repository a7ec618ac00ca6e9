//! `#[hybrid_evict(..)]`.

pub(crate) mod expand;
pub(crate) mod options;
pub(crate) mod target;
