//! Whether a stored response may be used.

use std::time::SystemTime;

use super::request::Wants;
use super::stored::{Aged, Stored};

/// What to do with a stored response that matches the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// Serve it.
    Fresh,
    /// Serve it, and refresh it in the background (`stale-while-revalidate`).
    StaleWhileRevalidate,
    /// Serve it as it is: the request has `max-stale`.
    MaxStale,
    /// Ask the origin, with `conditional::revalidate`. If that fails, `on_error` decides whether the stored response
    /// may be served instead.
    Revalidate(RevalidationReason),
    /// The client accepts only a stored response, and this one is not usable: 504.
    OnlyIfCached,
}

/// Why the origin must be asked although a response is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RevalidationReason {
    /// The response is stale.
    Stale,
    /// The response is fresh, but the request does not accept it (`no-cache`, `max-age`, `min-fresh`).
    Request,
    /// The response has `no-cache`.
    NoCache,
}

/// Decides on a stored response whose `Vary` matches.
pub(crate) fn decide(stored: &Stored, wants: &Wants, aged: &Aged) -> Reuse {
    let reason = match (stored.terms.no_cache, !aged.fresh_for.is_zero()) {
        (true, _) => RevalidationReason::NoCache,
        (false, true) if accepts(aged, wants) => return Reuse::Fresh,
        (false, true) => RevalidationReason::Request,
        (false, false) if !accepts(aged, wants) || forbids_stale(stored) => RevalidationReason::Stale,
        (false, false) if aged.stale_for < stored.terms.stale_while_revalidate => return Reuse::StaleWhileRevalidate,
        (false, false) if aged.stale_for <= wants.max_stale && !wants.max_stale.is_zero() => return Reuse::MaxStale,
        (false, false) => RevalidationReason::Stale,
    };
    if wants.only_if_cached { Reuse::OnlyIfCached } else { Reuse::Revalidate(reason) }
}

/// Whether the request accepts it, apart from `max-stale`.
fn accepts(aged: &Aged, wants: &Wants) -> bool {
    // `max-age=0` always asks the origin, even at the moment of arrival.
    let young = wants.max_age.is_none_or(|most| !most.is_zero() && aged.age <= most);
    !wants.no_cache && young && aged.fresh_for >= wants.min_fresh
}

/// Whether a stored response may be served instead of an origin that failed (500, 502, 503, 504, no response, a
/// timeout).
pub(crate) fn on_error(stored: &Stored, wants: &Wants, now: SystemTime) -> bool {
    let longest = stored.terms.stale_if_error.max(wants.stale_if_error);
    !forbids_stale(stored) && !longest.is_zero() && stored.at(now).stale_for <= longest
}

/// Whether the response is never served stale. If the origin does not respond at all, the client gets 504.
pub(crate) fn forbids_stale(stored: &Stored) -> bool {
    stored.terms.must_revalidate || stored.terms.no_cache
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, StatusCode};

    use super::super::store::Terms;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn stored(terms: Terms) -> Stored {
        Stored::from_parts(StatusCode::OK, HeaderMap::new(), terms, SystemTime::UNIX_EPOCH)
    }

    /// A response that is fresh for ten seconds and `age` seconds old.
    fn check(age: u32, terms: Terms, wants: Wants, expected: Reuse) {
        let stored = stored(Terms { fresh_for: 10 * SECOND, ..terms.clone() });
        let found = decide(&stored, &wants, &stored.at(SystemTime::UNIX_EPOCH + age * SECOND));
        assert_eq!(found, expected, "{age} {terms:?} {wants:?}");
    }

    #[test]
    fn fresh_and_stale() {
        let terms = Terms::default;
        let wants = Wants::default;
        let stale = Reuse::Revalidate(RevalidationReason::Stale);
        check(0, terms(), wants(), Reuse::Fresh);
        check(9, terms(), wants(), Reuse::Fresh);
        check(10, terms(), wants(), stale);
        check(0, Terms { no_cache: true, ..terms() }, wants(), Reuse::Revalidate(RevalidationReason::NoCache));
        check(9, Terms { must_revalidate: true, ..terms() }, wants(), Reuse::Fresh);

        let revalidate = || Terms { stale_while_revalidate: 2 * SECOND, ..terms() };
        check(9, revalidate(), wants(), Reuse::Fresh);
        check(10, revalidate(), wants(), Reuse::StaleWhileRevalidate);
        check(11, revalidate(), wants(), Reuse::StaleWhileRevalidate);
        check(12, revalidate(), wants(), stale);
        check(11, revalidate(), Wants { no_cache: true, ..wants() }, stale);
        check(11, revalidate(), Wants { max_age: Some(SECOND), ..wants() }, stale);
        check(11, revalidate(), Wants { min_fresh: SECOND, ..wants() }, stale);
        check(11, Terms { must_revalidate: true, ..revalidate() }, wants(), stale);
    }

    #[test]
    fn what_the_request_wants() {
        let terms = Terms::default;
        let wants = Wants::default;
        let request = Reuse::Revalidate(RevalidationReason::Request);
        check(0, terms(), Wants { no_cache: true, ..wants() }, request);
        check(0, terms(), Wants { max_age: Some(Duration::ZERO), ..wants() }, request);
        check(1, terms(), Wants { max_age: Some(SECOND), ..wants() }, Reuse::Fresh);
        check(2, terms(), Wants { max_age: Some(SECOND), ..wants() }, request);
        check(5, terms(), Wants { min_fresh: 5 * SECOND, ..wants() }, Reuse::Fresh);
        check(5, terms(), Wants { min_fresh: 6 * SECOND, ..wants() }, request);
        check(5, terms(), Wants { no_store: true, ..wants() }, Reuse::Fresh);

        let stale = Reuse::Revalidate(RevalidationReason::Stale);
        check(12, terms(), Wants { max_stale: 2 * SECOND, ..wants() }, Reuse::MaxStale);
        check(13, terms(), Wants { max_stale: 2 * SECOND, ..wants() }, stale);
        check(99, terms(), Wants { max_stale: Duration::MAX, ..wants() }, Reuse::MaxStale);
        check(12, terms(), Wants { max_stale: Duration::MAX, max_age: Some(SECOND), ..wants() }, stale);
        check(12, Terms { must_revalidate: true, ..terms() }, Wants { max_stale: Duration::MAX, ..wants() }, stale);

        let only = || Wants { only_if_cached: true, ..wants() };
        check(9, terms(), only(), Reuse::Fresh);
        check(10, terms(), only(), Reuse::OnlyIfCached);
        check(10, terms(), Wants { max_stale: SECOND, ..only() }, Reuse::MaxStale);
        check(9, Terms { no_cache: true, ..terms() }, only(), Reuse::OnlyIfCached);
    }

    #[test]
    fn standing_in() {
        let terms = |stale_if_error: u32| Terms {
            fresh_for: 10 * SECOND,
            stale_if_error: stale_if_error * SECOND,
            ..Terms::default()
        };
        let wants = |stale_if_error: u32| Wants { stale_if_error: stale_if_error * SECOND, ..Wants::default() };
        let cases = [
            (9, terms(0), wants(0), false),
            (9, terms(2), wants(0), true),
            (12, terms(2), wants(0), true),
            (13, terms(2), wants(0), false),
            (13, terms(2), wants(3), true),
            (12, Terms { must_revalidate: true, ..terms(2) }, wants(3), false),
            (9, Terms { no_cache: true, ..terms(2) }, wants(0), false),
        ];
        for (age, terms, wants, expected) in cases {
            let found = on_error(&stored(terms.clone()), &wants, SystemTime::UNIX_EPOCH + age * SECOND);
            assert_eq!(found, expected, "{age} {terms:?} {wants:?}");
        }
    }
}
