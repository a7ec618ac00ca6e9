//! Fields that concern one connection.

use http::{HeaderMap, HeaderName};

/// The hop-by-hop fields of a message: the known ones that are there, and those that `Connection` names.
pub(crate) fn names(headers: &HeaderMap) -> Vec<HeaderName> {
    let _ = headers;
    todo!()
}
