//! The waiters of a flight: the caller that has started it, and the calls that have joined it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use super::registry::{Driver, Ended, Flight, FlightFuture};
use crate::flight::outcome::Outcome;

/// The result of waiting.
pub(crate) enum Joined {
    Outcome(Outcome),
    /// The flight's result is not for this caller: it looks again.
    Retry,
}

/// Waits for a flight's outcome.
#[derive(Debug)]
pub(crate) struct Joiner {
    flight: Arc<Flight>,
    /// It joined after the load had begun: the load may be older than this call.
    late: bool,
    /// It belongs to the caller that started the flight.
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

    /// Makes the flight stop waiting for other loads to end: one of them waits for it.
    pub(crate) fn hurry(&self) {
        let leader = {
            let mut progress = self.flight.progress();
            progress.hurried = true;
            progress.leader.take()
        };
        leader.into_iter().for_each(Waker::wake);
    }

    /// For the caller that started the flight: it will drive `course` by [`Self::poll_inline`].
    pub(crate) fn attach(&self, course: FlightFuture) {
        self.flight.progress().driver = Driver::Caller(Some(course));
    }

    /// For the same caller, before each [poll](Future::poll): drives the flight as long as no other call waits for it.
    /// A future that is returned has to be spawned.
    pub(crate) fn poll_inline(&self, context: &mut Context<'_>) -> Option<FlightFuture> {
        let mut course = self.take_course()?;
        if course.as_mut().poll(context).is_ready() {
            return None;
        }
        let mut progress = self.flight.progress();
        // Still the caller's, unless during the poll the future asked for a task (`HandOver`), or a call joined.
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
            // This poll may end the flight, which wakes all waiters. The caller is running and needs no wake-up; the
            // waiter's own poll, which follows, registers its waker again.
            progress.wakers[place] = None;
        }
        course
    }

    /// Takes the flight from a caller that may never poll it again. A future that is returned has to be spawned.
    pub(crate) fn detach(&self) -> Option<FlightFuture> {
        let mut progress = self.flight.progress();
        let Driver::Caller(course) = &mut progress.driver else { return None };
        // `None` in here: the caller is polling it, and sees `others` when that poll ends.
        let course = course.take()?;
        progress.driver = Driver::Task;
        Some(course)
    }

    /// The latest end of the load that is running, if it has a timeout.
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
            // A joiner still has its own load and can run it. The starter's load was in the flight that was dropped.
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
