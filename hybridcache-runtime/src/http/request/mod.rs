//! A request as the layer sees it: what of it is in the key, what identifies its caller, and what is stored for it.

pub(crate) mod cache_request;
pub(crate) mod field_kinds;
pub(crate) mod key;
pub(crate) mod public_uri;
pub(crate) mod unkeyed;
