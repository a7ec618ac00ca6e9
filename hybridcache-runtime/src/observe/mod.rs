//! The one stream of events of the slow path. An outcome is named here and nowhere else: counters, histograms, observer, warnings and
//! metrics all read the same [`EventKind`].
//!
//! A step of the engine says what has happened, once, to the [`Subject`] that it happened to: a function, or the cache as a whole. A fresh
//! hit in memory is counted and is no event: it is never timed, and passes through nothing.

pub(crate) mod counters;
pub(crate) mod event;
pub(crate) mod histogram;
mod labels;
pub(crate) mod metrics;
pub(crate) mod observer;
pub(crate) mod openmetrics;
pub(crate) mod operation;
#[cfg(feature = "inspector")]
pub(crate) mod ring;
#[cfg(feature = "inspector")]
pub(crate) mod sampler;
pub(crate) mod spans;
pub(crate) mod stats;
pub(crate) mod step_counters;
pub(crate) mod steps;
pub(crate) mod stream;
pub(crate) mod warnings;

pub(crate) use self::event::{EventKind, EvictionCause, InvalidationKind, Keyed, LoadResult, Tier, UnsendableReason};
pub(crate) use self::stream::{Stream, Subject};
