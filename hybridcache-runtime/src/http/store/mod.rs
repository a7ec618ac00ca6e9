//! What the layer stores, under which keys and tags, and as which bytes.

pub(crate) mod entry;
pub(crate) mod record;
pub(crate) mod tags;
pub(crate) mod wire;
