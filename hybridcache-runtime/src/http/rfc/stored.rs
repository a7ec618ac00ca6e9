//! The head of a stored answer.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, StatusCode, header, response};

use super::date;
use super::store::{self, Terms};

/// A stored answer at one time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aged {
    pub(crate) age: Duration,
    /// For how long it is fresh yet; zero where it is stale.
    pub(crate) fresh_for: Duration,
    /// How long it has been stale; zero where it is fresh.
    pub(crate) stale_for: Duration,
}

/// The head of a stored answer: what the rules look at when it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) status: StatusCode,
    /// Without what must not be stored. `Date` and `Age` are always there, and [`frame`](Self::frame) adds `Content-Length`: an answer
    /// replaces the value of `Age`, and its map of fields need not grow. The stored `Age` itself means nothing.
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

    pub(crate) fn from_parts(status: StatusCode, mut headers: HeaderMap, terms: Terms, got: SystemTime) -> Self {
        for name in &terms.withheld {
            headers.remove(name);
        }
        headers.insert(header::AGE, HeaderValue::from_static("0"));
        if date::of(&headers, &header::DATE).is_none() {
            headers.insert(header::DATE, date::value(got));
        }
        Stored { status, headers, got, terms }
    }

    /// Sets the length of the body that is stored with it.
    pub(crate) fn frame(&mut self, length: u64) {
        if self.status == StatusCode::NO_CONTENT {
            self.headers.remove(header::CONTENT_LENGTH);
        } else {
            self.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
    }

    /// What its age makes of it.
    pub(crate) fn at(&self, now: SystemTime) -> Aged {
        let age = self.age(now);
        let fresh_for = self.terms.fresh_for;
        Aged { age, fresh_for: fresh_for.saturating_sub(age), stale_for: age.saturating_sub(fresh_for) }
    }

    /// How old it is. Never less than it was on arrival, wherever the clock went.
    pub(crate) fn age(&self, now: SystemTime) -> Duration {
        self.terms.initial_age.saturating_add(date::between(self.got, now))
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
        assert_eq!(names, ["age", "b", "date"]);
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
            let aged = stored.at(now);
            assert_eq!((aged.fresh_for, aged.stale_for), (fresh * SECOND, stale * SECOND));
        }
        assert_eq!(stored.age(got() - SECOND), 10 * SECOND, "the clock was set back");
    }
}
