//! A flight: looks in the shared tier, takes the lease, runs the load under it, and stores the outcome.
//!
//! [`start`] starts it, [`run`] is its course, and each of its endings is a method of [`Lead`].

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use crate::cache::fill::Fill;
use crate::cache::lease::Lease;
use crate::cache::{HybridCache, InMemory};
use crate::coherence::stamps::StampSnapshot;
use crate::engine::found::{Found, Place};
use crate::engine::job::{Lead, LoadJob, Reason, Stood, deadline};
use crate::engine::publish::{Stored, finish, publish, store};
use crate::engine::scope::Previous;
use crate::engine::task::{WAIT, Work};
use crate::entry::{Entry, FilledUnder, RefreshClaim};
use crate::flight::inline::InlineDriver;
use crate::flight::outcome::Outcome;
use crate::flight::{Joined, Joiner};
use crate::observe::spans::LoadSpan;
use crate::observe::{EventKind, LoadResult, Tier};
use crate::primitives::timers::timeout_at;
use crate::shared::Remote;
use crate::shared::budget::Budget;

/// The outcome, for the caller that has started the flight.
pub(crate) enum LoadOutcome {
    /// The stale value; the flight runs in the background.
    Meanwhile(Arc<Entry>),
    Awaited(Joiner),
    Inline(InlineDriver),
    /// One of these, and then the refresh of a stale value.
    Softly(BoxFuture<'static, Outcome>),
}

/// Starts a flight. A flight that looks in the shared tier first is driven by its caller ([`InlineDriver`]): a hit
/// there then costs no task. Every other flight runs in a task.
pub(crate) fn start(lead: Box<Lead>, work: Work) -> LoadOutcome {
    let (joiner, work) = (lead.leader.starter(), work.within(lead.job.frame.clone()));
    let (meanwhile, softly) = (lead.job.meanwhile().cloned(), lead.job.softly());
    let outcome = if lead.looks_first() {
        LoadOutcome::Inline(InlineDriver::new(joiner, run(lead, work)))
    } else {
        lead.spawn(work);
        match meanwhile {
            Some(stale) => {
                stale.meta.key.happened(EventKind::Refreshing);
                LoadOutcome::Meanwhile(stale)
            }
            None => LoadOutcome::Awaited(joiner),
        }
    };
    match softly {
        Some(softly) => LoadOutcome::Softly(Box::pin(async move { softly.refreshed(outcome.await).await })),
        None => outcome,
    }
}

/// The future that runs a flight to its end.
pub(crate) fn run(lead: Box<Lead>, work: Work) -> BoxFuture<'static, ()> {
    // Its steps belong to the span of its call, or of its refresh, whatever drives it.
    let span = lead.job.span.clone();
    match lead.remote() {
        Some(remote) if span.is_disabled() => run_under(lead.leader.stamps().clone(), remote, lead, work),
        Some(remote) => Box::pin(run_under(lead.leader.stamps().clone(), remote, lead, work).instrument(span)),
        None => Box::pin(lead.load_unshared(work).instrument(span)),
    }
}

/// Runs a flight under these stamps. Each part has its own box: most flights need one part only, and a box of a
/// kilobyte or more costs time.
fn run_under(seen: StampSnapshot, remote: Arc<dyn Remote>, mut lead: Box<Lead>, work: Work) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let origin = lead.job.cache.origin(&seen);
        let mut budget = lead.job.cache.budget();
        let found = match lead.job.reason {
            Reason::WaitedTooLong => Found::Degraded,
            _ => Box::pin(lead.look_up(&remote, origin, &mut budget)).await,
        };
        match found {
            Found::Fresh(entry, place) if lead.starts_refresh(&entry) => {
                lead.serve_and_refresh(entry, (place, false), origin, work);
            }
            Found::Fresh(entry, place) => lead.adopt(&entry, place, origin),
            Found::Stale(entry, place) => lead.serve_and_refresh(entry, (place, true), origin, work),
            Found::Leased(lease) => Box::pin(lead.load(work, Some(lease), origin, budget)).await,
            Found::StampsChanged => {
                let seen = lead.job.capture_stamps();
                run_under(seen, remote, lead, work).await;
            }
            Found::HeldByOther => lead.leave(),
            // The lead is dropped here. So its claim counts as a failed attempt, and calls that have joined this flight
            // look again.
            Found::InVain if matches!(lead.job.reason, Reason::Refresh(_)) => {}
            Found::InVain | Found::Degraded => Box::pin(lead.load_degraded(work, origin, budget)).await,
        }
    })
}

impl Lead {
    /// Runs the flight in a task.
    fn spawn(self: Box<Self>, work: Work) {
        match self.remote() {
            Some(_) => drop(tokio::spawn(run(self, work))),
            None => {
                let span = self.job.span.clone();
                drop(tokio::spawn(self.load_unshared(work).instrument(span)));
            }
        }
    }

    /// Whether a caller waits that the shared tier may be able to answer.
    fn looks_first(&self) -> bool {
        matches!(self.job.reason, Reason::Miss) && !self.job.expects_a_miss && self.remote().is_some()
    }

    /// The shared tier, if this flight uses it.
    fn remote(&self) -> Option<Arc<dyn Remote>> {
        match self.job.reason {
            Reason::Bypass => None,
            _ => self.job.cache.remote_for(&self.job.key.function, &self.job.plan).cloned(),
        }
    }

    /// Loads a value without the shared tier.
    async fn load_unshared(self: Box<Self>, work: Work) {
        let seen = self.leader.stamps().clone();
        let (origin, budget) = (self.job.cache.origin(&seen), self.job.cache.budget());
        self.load(work, None, origin, budget).await;
    }

    /// Ends the flight with a value that was found.
    fn adopt(mut self: Box<Self>, entry: &Arc<Entry>, place: Place, origin: FilledUnder<'_>) {
        self.take_in(entry, place, false, origin);
        if let Reason::Refresh(claim) = self.job.reason {
            claim.done();
        }
        self.leader.finish(|_| Outcome::Value(entry.clone()));
    }

    /// Ends the flight with an entry that was found, stale or in the last part of its freshness, and starts the refresh of
    /// it as a new flight.
    fn serve_and_refresh(
        mut self: Box<Self>,
        entry: Arc<Entry>,
        (place, is_stale): (Place, bool),
        origin: FilledUnder<'_>,
        work: Work,
    ) {
        self.take_in(&entry, place, is_stale, origin);
        let Self { job, leader } = *self;
        let claim = RefreshClaim::take(&entry, job.cache.clock(), job.cache.clock().now());
        // Before this flight ends: a caller that waits for the refresh (`soft_timeout`) finds it.
        let next = claim.as_ref().and_then(|_| leader.succeed(|| job.capture_stamps()));
        leader.finish(|_| Outcome::Value(entry));
        let Some(claim) = claim else { return };
        // This flight was detached, and another caller may lead the key's flight by now: it finds the entry in memory
        // and ends its flight at once. The claim is given back unused, so that the next hit starts the refresh.
        let Some(leader) = next else { return claim.done() };
        job.key.happened(EventKind::Refreshing);
        let deadline = deadline(&job.plan);
        let (reason, in_memory) = (Reason::Refresh(claim), InMemory::Nothing);
        let mut job = LoadJob {
            reason,
            deadline,
            in_memory,
            stood: Stood::Unknown,
            expects_a_miss: false,
            explained: None,
            ..job
        };
        job.enter_refresh();
        // In a task of its own: the current one may be the caller's, which has its answer and must not wait for a
        // refresh.
        tokio::spawn(run(Box::new(Self { job, leader }), work));
    }

    /// Whether this hit starts the refresh of a fresh entry that it has found.
    fn starts_refresh(&self, entry: &Arc<Entry>) -> bool {
        let now = self.job.cache.clock().now();
        matches!(self.job.reason, Reason::Miss) && RefreshClaim::is_due(entry, now) && entry.meta.starts_refresh(now)
    }

    /// Another process holds the lease: drops this flight, and the calls that have joined it look again.
    fn leave(self: Box<Self>) {
        if let Reason::Refresh(claim) = self.job.reason {
            claim.done();
        }
    }

    /// Stores an entry in memory, or marks the one there as verified, unless the key was invalidated meanwhile.
    fn take_in(&mut self, entry: &Arc<Entry>, place: Place, stale: bool, origin: FilledUnder<'_>) {
        let tier = match place {
            Place::Redis => Tier::Shared,
            Place::Memory | Place::Unproven => Tier::Memory,
        };
        self.job.turned_out(EventKind::Hit { tier, stale });
        self.job.answered(Some(entry));
        if place == Place::Memory {
            self.job.key.happened(EventKind::Revalidated);
        }
        if place != Place::Unproven {
            self.leader.store(|| self.job.cache.local().admit(entry, origin.epoch, origin.began));
        }
    }

    /// Loads without a lease, after it has got a permit. The permits protect the database while leases do not.
    async fn load_degraded(mut self: Box<Self>, work: Work, origin: FilledUnder<'_>, budget: Budget) {
        self.leader.ensure_spawned().await;
        self.job.key.happened(EventKind::Degraded);
        let cache = self.job.cache.clone();
        // The load that makes this call waits for this flight and may hold a permit. To wait for another permit could
        // be a deadlock, so this flight takes none. No load waits for a refresh.
        let is_awaited = self.job.frame.is_some() && !matches!(self.job.reason, Reason::Refresh(_));
        let permit = if is_awaited { None } else { self.queue(&cache).await };
        let is_over = self.job.plan.timeout.is_some() && Instant::now() >= self.job.deadline;
        if permit.is_none() && !is_awaited && is_over {
            self.job.turned_out(EventKind::Miss);
            self.job.key.happened(EventKind::Loaded { result: LoadResult::Timeout, took: Duration::ZERO });
            return self.leader.finish(|_| Outcome::TimedOut);
        }
        self.load(work, None, origin, budget).await;
        // The permit is held until the load has ended and its value is stored.
        drop(permit);
    }

    /// Waits for a permit until the deadline, or for [`WAIT`] where there is none. Stops waiting when a call that
    /// another load makes joins this flight: that load may hold a permit, and the two would wait for each other.
    async fn queue<'a>(&self, cache: &'a HybridCache) -> Option<SemaphorePermit<'a>> {
        let (permit, hurried) = (std::pin::pin!(cache.degraded().acquire()), std::pin::pin!(self.leader.hurried()));
        let until = match self.job.plan.timeout {
            Some(_) => self.job.deadline,
            None => Instant::now() + WAIT,
        };
        match timeout_at(until, select(permit, hurried)).await {
            Ok(Either::Left((permit, _))) => permit.ok(),
            Ok(Either::Right(_)) | Err(_) => None,
        }
    }

    async fn load(mut self: Box<Self>, work: Work, mut lease: Option<Lease>, origin: FilledUnder<'_>, budget: Budget) {
        let span = std::mem::replace(&mut self.job.span, Span::none());
        let Self { mut job, leader } = *self;
        job.turned_out(EventKind::Miss);
        let (cache, key, timeout) = (&job.cache, &job.key, job.plan.timeout);
        let span = LoadSpan::begin(&key.function.events, &***key, span);
        key.happened(EventKind::Loading);
        if let Some(lease) = &lease {
            origin.seen.prolong(cache.lifespan(&job.plan), lease.remote());
        }
        // From here on later joiners are `late`: the load may already have read what an invalidation is about to
        // change.
        leader.begin_load(timeout);
        let previous = job.previous().map(|entry| Previous::new(entry, leader.attachment(), cache.clock()));
        let loaded = match &mut lease {
            // The futures that need a lease are boxed, here and below: a load without a lease does not pay for their
            // size.
            Some(lease) => {
                let limit = timeout.unwrap_or(cache.limits().lease_limit);
                let loaded = Box::pin(lease.hold_while(limit, work.run(key, &job.plan, span, previous))).await;
                lease.note_loaded();
                loaded
            }
            None => work.run(key, &job.plan, span, previous).await,
        };
        let fill = Fill { key, plan: &job.plan, origin };
        let (value, life) = match loaded {
            Ok(storable) => storable,
            Err(unstored) => {
                // Dropped before the waiters are woken: one that loads next asks for this very lease.
                drop(lease);
                job.answered(None);
                return finish(cache, &fill, &leader, unstored);
            }
        };
        // The lifetime in memory begins before the envelope's, so that memory does not keep the value longer than the
        // shared tier.
        let now = cache.clock().now();
        let (published, value) = match lease {
            Some(lease) => {
                // No caller waits for a refresh, so it may spend a whole budget on publishing.
                let budget = if matches!(job.reason, Reason::Refresh(_)) { cache.budget() } else { budget };
                Box::pin(publish(cache, &fill, lease, value, life, budget)).await
            }
            None => (Stored::InMemoryOnly { encoded: None }, value),
        };
        let stored = store(&job, &fill, &leader, now, (value, life), published);
        match job.reason {
            Reason::Refresh(claim) if stored => claim.done(),
            Reason::Miss | Reason::Refresh(_) | Reason::Reload if !stored => {
                key.happened(EventKind::Fenced);
            }
            _ => {}
        }
    }
}

impl Future for LoadOutcome {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let joined = match self.get_mut() {
            Self::Meanwhile(stale) => return Poll::Ready(Outcome::Value(stale.clone())),
            Self::Awaited(joiner) => joiner.poll_unpin(context),
            Self::Inline(driver) => driver.poll_unpin(context),
            Self::Softly(outcome) => return outcome.poll_unpin(context),
        };
        joined.map(|joined| match joined {
            Joined::Outcome(outcome) => outcome,
            Joined::Retry => Outcome::Abandoned,
        })
    }
}
