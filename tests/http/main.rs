//! The HTTP layer, through listening servers and real clients: what every release must hold.
//!
//! "Killed by" names a change to the code that the test was seen to catch.

#![allow(clippy::unwrap_used, reason = "a test panics to fail")]

mod bodies;
mod callers;
mod client;
mod conditional;
mod fleet;
mod floods;
mod heads;
#[cfg(feature = "inspector")]
mod inspecting;
mod keys;
mod methods;
mod mounts;
mod poison;
mod private;
mod processes;
mod restrictions;
mod setups;
mod shared;
mod site;
mod spellings;
mod stale;
mod statuses;
mod streams;
mod tags;
mod vary;
mod world;
mod wrapping;
