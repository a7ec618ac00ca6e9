//! `Vary`: which requests get the same answer.

use http::{HeaderMap, HeaderName};

/// What a `Vary` field says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Vary {
    /// `*`: no two requests agree.
    Any,
    /// The fields that must agree, sorted, each once; empty where there is no `Vary`.
    On(Vec<HeaderName>),
}

/// Reads all lines of `Vary`. What cannot be read counts as `*`.
pub(crate) fn of(response: &HeaderMap) -> Vary {
    let _ = response;
    todo!()
}

/// The secondary key: what a request says in `fields`, normalised (lines joined, whitespace around commas) and unambiguous. Two
/// requests agree where these are the same bytes. An absent field differs from an empty one.
pub(crate) fn key(fields: &[HeaderName], request: &HeaderMap) -> Vec<u8> {
    let _ = (fields, request);
    todo!()
}
