//! One load, step by step. The engine knows no types: each step is a file named after it.
//!
//! `join` → `run` → `lookup` → `lease` → `task` → `publish`; `job` is what goes from step to step, `found` what a lookup comes to.

pub(crate) mod job;
pub(crate) mod join;
pub(crate) mod run;
pub(crate) mod scope;
pub(crate) mod task;

mod found;
mod lease;
mod lookup;
mod publish;
