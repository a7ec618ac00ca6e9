//! What happened to each call of a round.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::calls::Stream;

#[derive(Debug)]
pub(crate) struct Log {
    began: Instant,
    calls: Mutex<Vec<Call>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) stream: Stream,
    /// The streams count their calls: the id of a cold key.
    pub(crate) number: u64,
    /// Since the round's beginning.
    pub(crate) began: Duration,
    /// Whether the breaker was open just before.
    pub(crate) breaker_was_open: bool,
    /// `None`: it was never answered.
    pub(crate) answer: Option<Answer>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) took: Duration,
    /// What the caller waited for beside its own load.
    pub(crate) added: Duration,
}

impl Call {
    pub(crate) fn end(&self) -> Option<Duration> {
        self.answer.map(|answer| self.began + answer.took)
    }
}

/// A call that is being made.
#[derive(Debug)]
pub(crate) struct Ticket(usize);

impl Log {
    pub(crate) fn start() -> Self {
        Self { began: Instant::now(), calls: Mutex::default() }
    }

    /// The time of the round.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn begin(&self, stream: Stream, number: u64, breaker_was_open: bool) -> Ticket {
        let began = self.now();
        let mut calls = self.calls();
        calls.push(Call { stream, number, began, breaker_was_open, answer: None });
        Ticket(calls.len() - 1)
    }

    pub(crate) fn end(&self, ticket: &Ticket, answer: Answer) {
        self.calls()[ticket.0].answer = Some(answer);
    }

    pub(crate) fn unanswered(&self) -> usize {
        self.calls().iter().filter(|call| call.answer.is_none()).count()
    }

    pub(crate) fn snapshot(&self) -> Vec<Call> {
        self.calls().clone()
    }

    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
