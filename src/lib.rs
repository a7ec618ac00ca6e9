#![cfg_attr(not(doctest), doc = include_str!("links.md"))]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub use hybridcache_macros::{CacheKey, hybrid_cached, hybrid_evict};
pub use hybridcache_runtime::{
    BreakerState, Builder, CacheEntry, CacheKey, CallReport, Compression, Distribution, EntryInfo, Error, Event,
    EventKind, EvictionCause, Family, HybridCache, InvalidationKind, KeyBuf, LoadError, LoadResult, Memory, MetricKind,
    MetricValue, Metrics, NoCache, OPENMETRICS_CONTENT_TYPE, Observer, Operation, Outage, PlainEntry, Policy, Sample,
    SharedError, Source, Stats, StepResult, ThisLoad, Tier, UnsendableReason, Warning, bypass, explain, invalidate_tag,
    no_cache, refresh, this_load,
};

pub use hybridcache_runtime::{Codec, CodecError, MessagePack, Raw};

#[cfg(feature = "json")]
#[cfg_attr(docsrs, doc(cfg(feature = "json")))]
pub use hybridcache_runtime::Json;

#[cfg(feature = "encryption")]
#[cfg_attr(docsrs, doc(cfg(feature = "encryption")))]
pub use hybridcache_runtime::Keyring;
pub use hybridcache_runtime::{Cached, CachedBuilder, Load, Loading};

pub mod guide;

#[doc(hidden)]
pub use hybridcache_runtime::__private;

#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
pub use hybridcache_runtime::http;

#[cfg(feature = "inspector")]
#[cfg_attr(docsrs, doc(cfg(feature = "inspector")))]
pub use hybridcache_runtime::inspector;
