//! The grammar that the attributes share.

pub(crate) mod bytes;
pub(crate) mod comma_list;
pub(crate) mod duration;
pub(crate) mod part;
mod percent;
pub(crate) mod suggest;
pub(crate) mod time;
