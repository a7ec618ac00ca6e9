//! The head of a stored response.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, StatusCode, header, response};

use super::date;
use super::store::{self, Terms};

/// The age of a stored response at one time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aged {
    pub(crate) age: Duration,
    /// How long the response is still fresh; zero if it is stale.
    pub(crate) fresh_for: Duration,
    /// How long it has been stale; zero if it is fresh.
    pub(crate) stale_for: Duration,
}

/// The head of a stored response: the data by which the rules decide about its reuse.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) status: StatusCode,
    /// Without the fields that must not be stored. `Date` and `Age` are always present, and [`frame`](Self::frame) adds
    /// `Content-Length`: sending the response only replaces the value of `Age`, so its map of fields need not grow. The
    /// stored `Age` itself has no meaning.
    pub(crate) headers: HeaderMap,
    /// When its head arrived, or the last 304 for it.
    pub(crate) got: SystemTime,
    pub(crate) terms: Terms,
}

impl Stored {
    /// The stored form of a response that may be stored.
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

    /// Its freshness or staleness at `now`.
    pub(crate) fn at(&self, now: SystemTime) -> Aged {
        let age = self.age(now);
        let fresh_for = self.terms.fresh_for;
        Aged { age, fresh_for: fresh_for.saturating_sub(age), stale_for: age.saturating_sub(fresh_for) }
    }

    /// Its age. Never less than on arrival, even if the clock went back.
    pub(crate) fn age(&self, now: SystemTime) -> Duration {
        self.terms.initial_age.saturating_add(date::between(self.got, now))
    }

    /// Whether a revalidation by the origin can end in a 304.
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
