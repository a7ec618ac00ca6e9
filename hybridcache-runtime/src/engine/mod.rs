//! One load, step by step. The engine knows no types: each step is a file named after it.

pub(crate) mod join;
pub(crate) mod lookup;
pub(crate) mod run;
pub(crate) mod scope;
pub(crate) mod task;
