//! The rules of HTTP caching for a shared cache, as pure functions: no I/O, no clock, no engine.
//!
//! RFC 9111 (caching), with the parts of RFC 9110 that it needs (validators, ranges, fields), RFC 5861 (stale
//! responses), RFC 9211 (Cache-Status), RFC 9213 (targeted fields) and RFC 9875 (cache groups).
//!
//! The path of a request:
//!
//! ```text
//! request::ask ── Bypass ──► origin; nothing stored
//!              ── Unsafe ──► origin; then invalidate::targets and groups::invalidated say what goes
//!              ── Lookup(wants)
//!                   the primary key has entries: vary::key selects the one for this request
//!                   stored ── reuse::decide ── Fresh, Stale ──► reply::answer (200, 206, 304, 416, HEAD)
//!                                           ── Revalidate ──► conditional::revalidate, to the origin
//!                                                             ── 304: freshen::by_304
//!                                                             ── failure: reuse::on_error
//!                   nothing ── only_if_cached: 504 ── else origin
//!                   an answer ── store::terms ── Yes(terms): Stored::new, and keep
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test panics to fail"))]

pub(crate) mod age;
#[cfg(test)]
mod any_bytes;
pub(crate) mod conditional;
pub(crate) mod date;
pub(crate) mod directives;
pub(crate) mod etag;
pub(crate) mod fields;
pub(crate) mod freshen;
pub(crate) mod freshness;
pub(crate) mod groups;
pub(crate) mod hop;
pub(crate) mod invalidate;
pub(crate) mod range;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod restrictions;
pub(crate) mod reuse;
pub(crate) mod rules;
#[cfg(test)]
mod sample;
pub(crate) mod spelling;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod stored;
pub(crate) mod structured;
pub(crate) mod targeted;
pub(crate) mod vary;

pub(crate) use self::request::{Asked, Wants};
pub(crate) use self::reuse::Reuse;
pub(crate) use self::rules::Rules;
pub(crate) use self::status::CacheStatus;
pub(crate) use self::store::{Refusal, Storing, Terms};
pub(crate) use self::stored::Stored;
