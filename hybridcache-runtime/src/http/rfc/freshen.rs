//! A 304, or the answer to HEAD, brings a stored answer up to date.

use std::time::SystemTime;

use http::{request, response};

use super::rules::Rules;
use super::store::Refusal;
use super::stored::Stored;

/// What becomes of a stored answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Freshened {
    /// The same body under a new head.
    Yes(Stored),
    /// The 304 is about this body, and from now on it must not be kept: answer with the updated head, then drop the entry.
    YesButDrop(Stored, Refusal),
    /// The validators do not agree: the confirmation is about something else. Drop it and ask again, without conditions.
    No,
}

/// Updates `stored` with the head of a 304 to our revalidation.
pub(crate) fn by_304(
    stored: &Stored,
    request: &request::Parts,
    not_modified: &response::Parts,
    rules: &Rules,
    asked: SystemTime,
    got: SystemTime,
) -> Freshened {
    let _ = (stored, request, not_modified, rules, asked, got);
    todo!()
}

/// Whether the answer to a HEAD says that the stored answer to GET is not what the origin would send now.
pub(crate) fn contradicted_by_head(stored: &Stored, head: &response::Parts) -> bool {
    let _ = (stored, head);
    todo!()
}
