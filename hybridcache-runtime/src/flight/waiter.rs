//! Who waits for a flight, be it the caller who has started it or one who has joined.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use super::registry::{Driver, Ended, Flight, FlightFuture};
use crate::flight::outcome::Outcome;

/// What a joiner gets.
pub(crate) enum Joined {
    Outcome(Outcome),
    /// The flight's result is not for this caller: look again.
    Retry,
}

/// Waits for a flight's outcome.
#[derive(Debug)]
pub(crate) struct Joiner {
    flight: Arc<Flight>,
    /// Joined after the load had begun.
    late: bool,
    /// The caller who started the flight.
    started: bool,
    waker: Option<usize>,
}

impl Joiner {
    pub(super) fn new(flight: Arc<Flight>) -> Self {
        let late = {
            let mut progress = flight.progress();
            progress.others = true;
            progress.loading
        };
        Self { flight, late, started: false, waker: None }
    }

    pub(super) fn of_starter(flight: Arc<Flight>) -> Self {
        Self { flight, late: false, started: true, waker: None }
    }

    /// Says that the flight must not wait for other loads to end: one of them waits for it.
    pub(crate) fn hurry(&self) {
        let leader = {
            let mut progress = self.flight.progress();
            progress.hurried = true;
            progress.leader.take()
        };
        leader.into_iter().for_each(Waker::wake);
    }

    /// For the caller who started the flight: `course` is what it does, for [`Self::drive`].
    pub(crate) fn attach(&self, course: FlightFuture) {
        self.flight.progress().driver = Driver::Caller(Some(course));
    }

    /// For the same caller, before each [poll](Future::poll): drives the flight as long as nobody else waits for it. What it
    /// returns is for a task.
    pub(crate) fn poll_inline(&self, context: &mut Context<'_>) -> Option<FlightFuture> {
        let mut course = self.take_course()?;
        if course.as_mut().poll(context).is_ready() {
            return None;
        }
        let mut progress = self.flight.progress();
        if matches!(progress.driver, Driver::Caller(_)) && !progress.others {
            progress.driver = Driver::Caller(Some(course));
            return None;
        }
        progress.driver = Driver::Task;
        Some(course)
    }

    fn take_course(&self) -> Option<FlightFuture> {
        let mut progress = self.flight.progress();
        let Driver::Caller(course) = &mut progress.driver else { return None };
        let course = course.take();
        if let Some(place) = self.waker {
            // Whoever ends the flight need not wake itself.
            progress.wakers[place] = None;
        }
        course
    }

    /// Takes the flight from a caller who may never drive it again. What it returns is for a task.
    pub(crate) fn detach(&self) -> Option<FlightFuture> {
        let mut progress = self.flight.progress();
        let Driver::Caller(course) = &mut progress.driver else { return None };
        // Where it is being polled, the caller sees in a moment that there are others.
        let course = course.take()?;
        progress.driver = Driver::Task;
        Some(course)
    }

    /// When the load that is running will have ended, if that is known.
    pub(crate) fn ends_by(&self) -> Option<Instant> {
        self.flight.progress().ends_by
    }
}

impl Future for Joiner {
    type Output = Joined;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Joined> {
        let this = &mut *self;
        let mut progress = this.flight.progress();
        match &progress.ended {
            Some(Ended { fenced: true, .. }) if this.late => Poll::Ready(Joined::Retry),
            Some(Ended { outcome: Outcome::Abandoned, .. }) if !this.started => Poll::Ready(Joined::Retry),
            Some(ended) => Poll::Ready(Joined::Outcome(ended.outcome.clone())),
            None => {
                let waker = Some(context.waker().clone());
                match this.waker {
                    Some(place) => progress.wakers[place] = waker,
                    None => {
                        this.waker = Some(progress.wakers.len());
                        progress.wakers.push(waker);
                    }
                }
                Poll::Pending
            }
        }
    }
}

impl Drop for Joiner {
    fn drop(&mut self) {
        if let Some(place) = self.waker
            && let Some(waker) = self.flight.progress().wakers.get_mut(place)
        {
            *waker = None;
        }
    }
}
