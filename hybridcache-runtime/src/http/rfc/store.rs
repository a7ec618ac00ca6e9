//! Whether an answer may be kept, and on which terms.

use std::time::{Duration, SystemTime};

use http::{HeaderName, request, response};

use super::rules::Rules;

/// Whether an answer may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Storing {
    /// For its requester only. Others who wait for it must ask for themselves.
    No(Refusal),
    /// For everybody whose request agrees in the fields that `Vary` names.
    Yes(Terms),
}

/// Why an answer is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not the answer to a GET.
    Method,
    /// Not a final status that this cache understands; 206 and 304 are parts and confirmations.
    Status,
    /// The request said `no-store`.
    RequestNoStore,
    /// The answer said `no-store`.
    NoStore,
    /// `private`.
    Private,
    /// The request had `Authorization`, and the answer does not say `public`, `s-maxage` or `must-revalidate`.
    Authorization,
    /// `Set-Cookie`.
    SetCookie,
    /// `Vary: *`.
    VaryAny,
    /// Neither freshness nor a validator: it could never be used.
    Useless,
}

/// On which terms an answer is kept. Plain data: computed once, when it is stored or read back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// From the origin's generation of the answer (the age counts).
    pub(crate) fresh_for: Duration,
    /// How old it was on arrival.
    pub(crate) initial_age: Duration,
    /// `stale-while-revalidate`: served stale for that long while it is refreshed in the background.
    pub(crate) stale_while_revalidate: Duration,
    /// `stale-if-error`, or what `Rules::stale_on_error` allows; zero where stale answers are forbidden.
    pub(crate) stale_if_error: Duration,
    /// `must-revalidate`, `proxy-revalidate`, `s-maxage`: never served stale, whatever the client or configuration says.
    pub(crate) must_revalidate: bool,
    /// `no-cache`: never served without asking the origin.
    pub(crate) no_cache: bool,
    /// The fields of the request that must agree, sorted, each once.
    pub(crate) vary: Vec<HeaderName>,
    /// The groups of RFC 9875 that it belongs to, as they are compared: bare strings.
    pub(crate) groups: Vec<String>,
    /// Fields that are not stored: hop-by-hop ones, and those that `no-cache="…"` and `private="…"` name. `Stored::new` drops them.
    pub(crate) withheld: Vec<HeaderName>,
}

/// Judges the head of an answer. `asked` and `got` are the clock when the request was sent and when the head came.
///
/// Whether the body comes whole and within limits is for the caller to see.
pub(crate) fn terms(
    request: &request::Parts,
    response: &response::Parts,
    rules: &Rules,
    asked: SystemTime,
    got: SystemTime,
) -> Storing {
    let _ = (request, response, rules, asked, got);
    todo!()
}
