//! The engine as its users see it: annotated functions over a cache in memory, under a clock that the tests move.
#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod arguments;
mod async_traits;
mod backoff;
mod boxed_errors;
mod caches;
mod circles;
mod config;
mod control_flow;
mod errors;
mod functions;
mod groups;
mod growth;
mod handles;
mod identity;
mod instrumented;
mod invalidation;
mod key_texts;
mod keys;
mod loads;
mod memory;
mod methods;
mod mixed_types;
mod no_cache;
mod not_stored;
mod panics;
mod refreshes;
mod runtimes;
mod scopes;
mod shapes;
mod states;
mod stats;
mod timeouts;
mod times;
mod waiting;
mod world;
