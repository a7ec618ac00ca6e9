//! The annotated function: its arguments, its form, its body, and the names that tokens use.

pub(crate) mod argument;
pub(crate) mod async_form;
pub(crate) mod consumed;
pub(crate) mod free_names;
pub(crate) mod receiver;
pub(crate) mod types;
pub(crate) mod wrap_body;
