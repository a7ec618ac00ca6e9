//! A `tower` layer in front of HTTP handlers, on the engine that cached functions use.

mod body;
mod builder;
mod drive;
mod keep;
mod key;
mod load;
mod origin;
mod outcome;
mod policy;
mod record;
mod rfc;
mod service;
mod settings;
mod settle;
mod slot;
mod tell;
mod visit;
mod wire;

pub use body::CacheBody;
pub use builder::Builder;
pub use key::{Key, Query};
pub use outcome::{CacheOutcome, Forwarded};
pub use policy::CachePolicy;
pub use service::{HttpCache, HttpCacheLayer};
pub use settings::{Mode, Private, StaleOn};
