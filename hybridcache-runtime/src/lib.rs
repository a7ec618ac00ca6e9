//! The engine of [hybridcache](https://docs.rs/hybridcache): what an annotated function calls. Use it through that crate.
//!
//! A newcomer begins at `load.rs` and `caller.rs`, which hold the path of one call. What always holds:
//!
//! - One load per key in this process (`flight.rs`, `caller.rs`), and in the fleet while Redis keeps its data (`lease.rs`).
//! - What was loaded before an invalidation is stored nowhere after it: flights are detached, leases fenced, stamps voided.
//! - A cached call never fails because the cache does, and waits for Redis no longer than its budget (`budget.rs`).
//! - Bytes that cannot be read are a miss, never a wrong value (`envelope.rs`).
//! - Loads run in their own task: a caller that goes away takes nobody's load with it.
//! - Nothing leaks: a flight, a lease, a wait and the right to refresh are guards.
#![cfg_attr(not(feature = "redis"), allow(dead_code, reason = "parts that only a shared tier uses"))]

mod address;
mod background;
mod breaker;
mod budget;
mod builder;
mod cache;
mod call_key;
mod caller;
mod clock;
mod closing;
mod codec;
mod complaints;
mod declared;
mod encoding;
mod entry;
mod envelope;
mod error;
mod evict;
mod fit;
mod flight;
mod forecast;
mod function;
mod global;
mod handle;
mod hashed;
#[cfg(feature = "http")]
pub mod http;
mod journal;
mod key;
mod lease;
mod leases;
mod load;
mod load_arg;
mod local;
mod memory;
mod no_cache;
mod outcome;
mod pilot;
mod policy;
mod reading;
mod recovery;
#[cfg(feature = "redis")]
mod redis;
mod refresh;
mod remote;
#[cfg(all(test, shuttle))]
mod schedules;
mod scope;
mod seek;
mod settings;
mod shape;
mod shared_error;
mod stamps;
mod stats;
mod stripe;
mod sync;
mod timers;
mod trust;
mod value;
mod waiters;
#[cfg(test)]
mod wire_vectors;
mod work;
mod writing;

#[doc(hidden)]
pub mod __private;

pub use builder::Builder;
pub use cache::HybridCache;
pub use error::{Error, LoadError};
pub use global::invalidate_tag;
pub use handle::{CacheEntry, PlainEntry};
pub use key::{CacheKey, KeyBuf};
pub use memory::Memory;
pub use no_cache::NoCache;
pub use policy::Outage;
pub use scope::{bypass, no_cache, refresh};
pub use shared_error::SharedError;
pub use stats::{BreakerState, Stats};
