//! Conditional requests: ours to the origin, and the client's to us.

use http::{HeaderMap, request};

use super::stored::Stored;

/// Makes a request to the origin a revalidation of `stored`: `If-None-Match`, `If-Modified-Since`; the client's own preconditions and
/// `Range` are taken out, since the whole answer is wanted. False: it has no validator, and the request is only cleaned.
pub(crate) fn revalidate(stored: &Stored, headers: &mut HeaderMap) -> bool {
    let _ = (stored, headers);
    todo!()
}

/// Takes the client's preconditions out of a request whose answer is to be stored: a 304 to the client's own validator would fill
/// nobody else's entry. What they ask for is answered from what comes (`not_modified`).
pub(crate) fn unconditional(headers: &mut HeaderMap) {
    let _ = headers;
    todo!()
}

/// Whether the client already has what is stored, so that 304 says it all: `If-None-Match` (weak comparison, `*`), else
/// `If-Modified-Since`. Only for stored answers of status 200.
pub(crate) fn not_modified(request: &request::Parts, stored: &Stored) -> bool {
    let _ = (request, stored);
    todo!()
}
