//! What an unsafe request invalidates.

use http::{Uri, request, response};

/// The URIs whose stored answers an unsafe request made void: its own, and those of the same origin that `Location` and
/// `Content-Location` name. Empty where the answer is an error (4xx, 5xx), or the method safe.
///
/// The URIs have the form that the request's has (path and query alone, or absolute), so that they make keys the same way.
pub(crate) fn targets(request: &request::Parts, response: &response::Parts) -> Vec<Uri> {
    let _ = (request, response);
    todo!()
}
