//! The function that an attribute stands on: its arguments, its form, its body.

pub(crate) mod argument;
pub(crate) mod async_form;
pub(crate) mod consumed;
pub(crate) mod free_names;
pub(crate) mod receiver;
pub(crate) mod wrap_body;
