//! The head of a stored answer.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, request, response};

use super::rules::Rules;
use super::store::Terms;

/// The head of a stored answer: what the rules look at when it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) status: StatusCode,
    /// Without what must not be stored. `Date` is always there; `Age` never is.
    pub(crate) headers: HeaderMap,
    /// When its head, or the last 304 for it, came.
    pub(crate) got: SystemTime,
    pub(crate) terms: Terms,
}

impl Stored {
    /// What is kept of an answer that may be kept.
    pub(crate) fn new(response: &response::Parts, terms: Terms, got: SystemTime) -> Self {
        let _ = (response, terms, got);
        todo!()
    }

    /// How old it is. Never less than it was on arrival, wherever the clock went.
    pub(crate) fn age(&self, now: SystemTime) -> Duration {
        let _ = now;
        todo!()
    }

    /// For how long it is fresh yet; zero where it is stale.
    pub(crate) fn fresh_for(&self, now: SystemTime) -> Duration {
        self.terms.fresh_for.saturating_sub(self.age(now))
    }

    /// How long it has been stale; zero where it is fresh.
    pub(crate) fn stale_for(&self, now: SystemTime) -> Duration {
        self.age(now).saturating_sub(self.terms.fresh_for)
    }

    /// Whether asking the origin can end in a 304.
    pub(crate) fn has_validator(&self) -> bool {
        todo!()
    }

    /// The terms, computed anew: what came from the shared tier carries its head only. `None`: it may not be stored (any more).
    pub(crate) fn judge_again(
        request: &request::Parts,
        status: StatusCode,
        headers: HeaderMap,
        initial_age: Duration,
        got: SystemTime,
        rules: &Rules,
    ) -> Option<Self> {
        let _ = (request, status, headers, initial_age, got, rules);
        todo!()
    }
}
