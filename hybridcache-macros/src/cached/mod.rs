//! `#[hybrid_cached(..)]`.

pub(crate) mod expand;
pub(crate) mod no_cache;
pub(crate) mod options;
pub(crate) mod signature;
