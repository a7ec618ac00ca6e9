//! Whether a stored answer may be used.

use std::time::SystemTime;

use super::request::Wants;
use super::stored::Stored;

/// What to do with a stored answer that matches the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// Serve it.
    Fresh,
    /// Serve it, and refresh it in the background (`stale-while-revalidate`).
    StaleWhileRevalidate,
    /// Serve it as it is: the client said `max-stale`.
    MaxStale,
    /// Ask the origin, with `conditional::validators`. If that fails, `on_error` says whether it may stand in.
    Revalidate(Reason),
    /// The client wants no other than a stored answer, and this one does not do: 504.
    OnlyIfCached,
}

/// Why the origin has to be asked although something is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It is stale.
    Stale,
    /// The request said so (`no-cache`, `max-age`, `min-fresh`).
    Request,
    /// The answer said `no-cache`.
    NoCache,
}

/// Decides about a stored answer whose `Vary` agrees.
pub(crate) fn decide(stored: &Stored, wants: &Wants, now: SystemTime) -> Reuse {
    let _ = (stored, wants, now);
    todo!()
}

/// Whether a stored answer may stand in for an origin that failed (500, 502, 503, 504, no answer, too late).
pub(crate) fn on_error(stored: &Stored, wants: &Wants, now: SystemTime) -> bool {
    let _ = (stored, wants, now);
    todo!()
}

/// Whether an answer that may not stand in leads to 504 rather than to what the origin said: `must-revalidate` and its kin, where
/// the origin gave no answer at all.
pub(crate) fn forbids_stale(stored: &Stored) -> bool {
    stored.terms.must_revalidate || stored.terms.no_cache
}
