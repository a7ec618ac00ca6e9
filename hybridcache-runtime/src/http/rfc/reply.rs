//! The answer that a stored one becomes for one request.

use std::time::SystemTime;

use http::{HeaderMap, StatusCode, request};

use super::stored::Stored;

/// What of the body goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// None: HEAD, 304, 416.
    Nothing,
    /// One range of bytes, to be sliced.
    Range(std::ops::Range<u64>),
}

/// Status, fields and body of an answer from the store.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) part: Part,
}

/// Answers a request from the store: 304 where the client has it already, 206 or 416 where it asks for a range, the headers alone
/// for HEAD. Sets `Age`; `Content-Length` is that of what goes out.
///
/// `length` is that of the stored body. For an answer that was just revalidated or loaded, the same: the client's own
/// preconditions are evaluated here and nowhere else.
pub(crate) fn answer(request: &request::Parts, stored: &Stored, length: u64, now: SystemTime) -> Reply {
    let _ = (request, stored, length, now);
    todo!()
}
