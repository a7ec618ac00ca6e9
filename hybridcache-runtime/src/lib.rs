//! The engine of [hybridcache](https://docs.rs/hybridcache), which annotated functions call. Use it through that crate.
//!
//! The path of one call begins in `call/` and goes on in `engine/`; ARCHITECTURE.md describes it. These properties
//! always hold:
//!
//! - One load per key in this process (`flight/`), and in the fleet while Redis keeps its data (`engine/lease.rs`).
//! - A load that began before an invalidation is stored nowhere after it: flights are detached, leases are fenced, and
//!   stamps are voided.
//! - A cached call never fails because the cache does, and waits for Redis no longer than its budget
//!   (`shared/budget.rs`).
//! - Bytes that cannot be read are a miss, never a wrong value (`shared/wire/envelope.rs`).
//! - A load runs in a task of its own: a caller that is dropped does not end it.
//! - Nothing leaks: a flight, a lease, a wait and the right to refresh are guards, and dropping a guard releases what
//!   it holds.
#![cfg_attr(not(feature = "redis"), allow(dead_code, reason = "parts that only a shared tier uses"))]

mod cache;
mod call;
mod coherence;
mod engine;
mod entry;
mod error;
mod flight;
mod function;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "inspector")]
pub mod inspector;
mod key;
mod memory;
mod observe;
mod primitives;
mod shared;
mod shared_error;
#[cfg(all(test, shuttle))]
mod tests;

#[doc(hidden)]
pub mod __private;

pub use cache::HybridCache;
pub use cache::builder::Builder;
pub use cache::handle::{CacheEntry, PlainEntry};
pub use cache::info::EntryInfo;
pub use cache::installed::invalidate_tag;
pub use call::cached::Cached;
pub use call::cached::builder::CachedBuilder;
pub use call::cached::loading::{Load, Loading};
pub use call::no_cache::NoCache;
pub use coherence::outage::Outage;
pub use engine::explain::{CallReport, Source, explain};
pub use engine::scope::{bypass, no_cache, refresh};
pub use engine::this_load::{ThisLoad, this_load};
pub use error::{Error, LoadError};
pub use key::{CacheKey, KeyBuf};
pub use memory::Memory;
pub use memory::policy::Policy;
pub use observe::event::{Event, EventKind, EvictionCause, InvalidationKind, LoadResult, Tier, UnsendableReason};
pub use observe::histogram::Distribution;
pub use observe::metrics::{Family, MetricKind, MetricValue, Metrics, Sample};
pub use observe::observer::Observer;
pub use observe::openmetrics::OPENMETRICS_CONTENT_TYPE;
pub use observe::operation::{Operation, StepResult};
pub use observe::stats::{BreakerState, Stats};
pub use observe::warnings::Warning;
#[cfg(feature = "json")]
pub use shared::wire::codec::Json;
pub use shared::wire::codec::{Codec, CodecError, MessagePack, Raw};
pub use shared::wire::compression::Compression;
#[cfg(feature = "encryption")]
pub use shared::wire::sealed::Keyring;
pub use shared_error::SharedError;
