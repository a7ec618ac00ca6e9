//! One load, step by step. The engine knows no types: each step is a file named after it.
//!
//! `join` → `run` → `lookup` → `lease` → `task` → `publish`; `job` is passed from step to step, `found` has the results
//! of a lookup.

pub(crate) mod explain;
pub(crate) mod job;
pub(crate) mod join;
pub(crate) mod run;
pub(crate) mod scope;
pub(crate) mod task;
pub(crate) mod this_load;

mod found;
mod lease;
mod lookup;
mod publish;
mod remembered;
mod soft_timeout;
