//! Cache groups (RFC 9875).

use http::{HeaderMap, request, response};

/// `Cache-Groups`: the groups an answer belongs to, within its origin. Empty where the field is not valid.
pub(crate) fn of(response: &HeaderMap) -> Vec<String> {
    let _ = response;
    todo!()
}

/// `Cache-Group-Invalidation` of an answer to an unsafe request: the groups, within its origin, that are void from now on. Empty
/// where the method is safe.
pub(crate) fn invalidated(request: &request::Parts, response: &response::Parts) -> Vec<String> {
    let _ = (request, response);
    todo!()
}
