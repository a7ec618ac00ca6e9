//! The head of a stored answer.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header, response};

use super::date;
use super::store::{self, Terms};

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
        Self::from_parts(response.status, response.headers.clone(), terms, got)
    }

    pub(super) fn from_parts(status: StatusCode, mut headers: HeaderMap, terms: Terms, got: SystemTime) -> Self {
        for name in &terms.withheld {
            headers.remove(name);
        }
        headers.remove(header::AGE);
        if date::of(&headers, &header::DATE).is_none() {
            headers.insert(header::DATE, date::value(got));
        }
        Stored { status, headers, got, terms }
    }

    /// How old it is. Never less than it was on arrival, wherever the clock went.
    pub(crate) fn age(&self, now: SystemTime) -> Duration {
        self.terms.initial_age.saturating_add(date::between(self.got, now))
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
        store::has_validator(&self.headers)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn got() -> SystemTime {
        SystemTime::UNIX_EPOCH + 784_111_777 * SECOND
    }

    #[test]
    fn keeps_what_may_be_kept() {
        let response = sample::response(200, &[("a", "1"), ("age", "2"), ("b", "3"), ("date", "foo")]);
        let terms = Terms { withheld: vec!["a".parse().unwrap()], ..Terms::default() };
        let stored = Stored::new(&response, terms, got());
        let mut names: Vec<_> = stored.headers.keys().map(|name| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["b", "date"]);
        assert_eq!(stored.headers["date"], "Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(!stored.has_validator());
    }

    #[test]
    fn ages() {
        let terms = Terms { initial_age: 10 * SECOND, fresh_for: 12 * SECOND, ..Terms::default() };
        let stored = Stored::from_parts(StatusCode::OK, HeaderMap::new(), terms, got());
        for (now, age, fresh, stale) in
            [(got(), 10, 2, 0), (got() + 2 * SECOND, 12, 0, 0), (got() + 5 * SECOND, 15, 0, 3)]
        {
            assert_eq!(stored.age(now), age * SECOND);
            assert_eq!((stored.fresh_for(now), stored.stale_for(now)), (fresh * SECOND, stale * SECOND));
        }
        assert_eq!(stored.age(got() - SECOND), 10 * SECOND, "the clock was set back");
    }
}
