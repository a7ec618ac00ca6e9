//! The HTTP layer.

mod rfc;
