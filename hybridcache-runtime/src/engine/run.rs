//! A flight: looking in the shared tier, taking the lease, running the load under it, storing the outcome.
//!
//! [`start`] sets it going, [`run`] is its way, and each ending is a method of [`Lead`].

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;
use tracing::Span;

use crate::cache::fill::Fill;
use crate::cache::lease::Lease;
use crate::cache::{HybridCache, InMemory};
use crate::coherence::stamps::StampSnapshot;
use crate::engine::found::{Found, Source};
use crate::engine::job::{Lead, LoadJob, Reason};
use crate::engine::publish::{Stored, finish, publish, store};
use crate::engine::task::{Loaded, WAIT, Work};
use crate::entry::{Entry, FilledUnder, RefreshClaim};
use crate::flight::inline::InlineDriver;
use crate::flight::outcome::Outcome;
use crate::flight::{Joined, Joiner};
use crate::primitives::timers::timeout_at;
use crate::shared::Remote;
use crate::shared::budget::Budget;
use crate::stats::count;

/// What a caller that has started a flight gets of it.
pub(crate) enum LoadOutcome {
    /// The flight goes on in the background.
    Meanwhile(Arc<Entry>),
    Awaited(Joiner),
    Inline(InlineDriver),
}

/// Sets a flight going: in this caller where it looks into the shared tier first, else in a task.
pub(crate) fn start(lead: Box<Lead>, work: Work) -> LoadOutcome {
    let (joiner, work) = (lead.leader.starter(), work.within(lead.job.frame.clone()));
    if lead.looks_first() {
        return LoadOutcome::Inline(InlineDriver::new(joiner, run(lead, work)));
    }
    let meanwhile = lead.job.meanwhile().cloned();
    lead.spawn(work);
    match meanwhile {
        Some(stale) => {
            count(&stale.meta.key.function.counters.refreshes);
            LoadOutcome::Meanwhile(stale)
        }
        None => LoadOutcome::Awaited(joiner),
    }
}

/// Runs a flight to its end.
pub(crate) fn run(lead: Box<Lead>, work: Work) -> BoxFuture<'static, ()> {
    match lead.remote() {
        Some(remote) => run_under(lead.leader.stamps().clone(), remote, lead, work),
        None => Box::pin(lead.load_unshared(work)),
    }
}

/// The same under these stamps. Each part has its own box: most flights need one only, and a box of a kilobyte or more is
/// dear.
fn run_under(seen: StampSnapshot, remote: Arc<dyn Remote>, mut lead: Box<Lead>, work: Work) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let origin = lead.job.cache.origin(&seen);
        let mut budget = lead.job.cache.budget();
        let found = match lead.job.reason {
            Reason::WaitedTooLong => Found::Degraded,
            _ => Box::pin(lead.look_up(&remote, origin, &mut budget)).await,
        };
        match found {
            Found::Fresh(entry, source) => lead.adopt(&entry, source, origin),
            Found::Stale(entry, source) => lead.serve_stale(entry, source, origin, work),
            Found::Leased(lease) => Box::pin(lead.load(work, Some(lease), origin, budget)).await,
            Found::StampsChanged => {
                let seen = lead.job.capture_stamps();
                run_under(seen, remote, lead, work).await;
            }
            Found::HeldByOther => lead.leave(),
            // The claim counts as one that has failed. The callers that have joined meanwhile look for themselves.
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
            None => drop(tokio::spawn(self.load_unshared(work))),
        }
    }

    /// Whether a caller waits for it that may be answered from the shared tier.
    fn looks_first(&self) -> bool {
        matches!(self.job.reason, Reason::Miss) && !self.job.expects_a_miss && self.remote().is_some()
    }

    /// Where it looks first, and stores.
    fn remote(&self) -> Option<Arc<dyn Remote>> {
        match self.job.reason {
            Reason::Bypass => None,
            _ => self.job.cache.remote_for(&self.job.key.function, &self.job.plan).cloned(),
        }
    }

    /// Loads a value that the shared tier does not get.
    async fn load_unshared(self: Box<Self>, work: Work) {
        let seen = self.leader.stamps().clone();
        let (origin, budget) = (self.job.cache.origin(&seen), self.job.cache.budget());
        self.load(work, None, origin, budget).await;
    }

    /// There is a value already.
    fn adopt(self: Box<Self>, entry: &Arc<Entry>, source: Source, origin: FilledUnder<'_>) {
        self.take_in(entry, source, origin);
        if let Reason::Refresh(claim) = self.job.reason {
            claim.done();
        }
        self.leader.finish(|_| Outcome::Value(entry.clone()));
    }

    /// Answers with a stale entry, and goes on to refresh it.
    fn serve_stale(self: Box<Self>, entry: Arc<Entry>, source: Source, origin: FilledUnder<'_>, work: Work) {
        self.take_in(&entry, source, origin);
        let Self { job, leader } = *self;
        job.key.function.counters.stale_hits.count();
        let claim = RefreshClaim::take(&entry, job.cache.clock(), job.cache.clock().now());
        leader.finish(|_| Outcome::Value(entry));
        let Some(claim) = claim else { return };
        // A caller that leads the key's flight now has found the entry in memory and ends it at once: the next hit starts the refresh.
        let Some(leader) = job.flights().lead(&job.key, || job.capture_stamps()) else { return claim.done() };
        count(&job.key.function.counters.refreshes);
        let deadline = Instant::now() + job.plan.timeout.unwrap_or(WAIT);
        let (reason, in_memory) = (Reason::Refresh(claim), InMemory::Nothing);
        let job = LoadJob { reason, deadline, in_memory, expects_a_miss: false, ..job };
        // A task of its own: this one may be the caller's.
        tokio::spawn(run(Box::new(Self { job, leader }), work));
    }

    /// Another process holds the lease: drops this flight, and the calls that have joined it look again.
    fn leave(self: Box<Self>) {
        if let Reason::Refresh(claim) = self.job.reason {
            claim.done();
        }
    }

    /// Into memory, or trusted again, unless the key was invalidated meanwhile.
    fn take_in(&self, entry: &Arc<Entry>, source: Source, origin: FilledUnder<'_>) {
        let counters = &self.job.key.function.counters;
        match (source, &self.job.reason) {
            // It was counted when it began.
            (_, Reason::Refresh(_)) => {}
            (Source::Redis, _) => count(&counters.hits_redis),
            (Source::Memory | Source::Unproven, _) => counters.hits_memory.count(),
        }
        if source == Source::Memory {
            count(&counters.revalidated);
        }
        if source != Source::Unproven {
            self.leader.store(|| self.job.cache.local().admit(entry, origin.epoch, origin.began));
        }
    }

    /// Loads without a lease, when it is its turn.
    async fn load_degraded(self: Box<Self>, work: Work, origin: FilledUnder<'_>, budget: Budget) {
        self.leader.ensure_spawned().await;
        let counters = self.job.key.function.clone();
        let counters = &counters.counters;
        count(&counters.degraded_loads);
        let cache = self.job.cache.clone();
        // A load waits for it, unless it is a refresh, for which none does.
        let is_awaited = self.job.frame.is_some() && !matches!(self.job.reason, Reason::Refresh(_));
        let permit = if is_awaited { None } else { self.queue(&cache).await };
        let is_over = self.job.plan.timeout.is_some() && Instant::now() >= self.job.deadline;
        if permit.is_none() && !is_awaited && is_over {
            count(&counters.load_errors);
            count(&counters.timeouts);
            return self.leader.finish(|_| Outcome::TimedOut);
        }
        self.load(work, None, origin, budget).await;
        // Only now may another one load.
        drop(permit);
    }

    /// Queues with all loads that have no lease, until the deadline, or for [`WAIT`] where there is none. Leaves the queue
    /// when a nested load waits for this flight: that load has a permit, and the two would wait for each other.
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
        let Self { job, leader } = *self;
        let (cache, key, timeout) = (&job.cache, &job.key, job.plan.timeout);
        let counters = &key.function.counters;
        count(&counters.loads);
        if matches!(job.reason, Reason::Miss) {
            count(&counters.misses);
        }
        if let Some(lease) = &lease {
            origin.seen.prolong(cache.lifespan(&job.plan), lease.remote());
        }
        leader.begin_load(timeout);
        let began = Instant::now();
        let loaded = match &mut lease {
            // In boxes of their own, here and below: a load without a lease does not pay for them.
            Some(lease) => {
                let limit = timeout.unwrap_or(cache.limits().lease_limit);
                let loaded = Box::pin(lease.hold_while(limit, work.run(key, timeout, span))).await;
                lease.note_loaded();
                loaded
            }
            None => work.run(key, timeout, span).await,
        };
        let fill = Fill { key, plan: &job.plan, origin };
        let value = match loaded {
            Loaded::Value(value) => value,
            unstored => {
                // Frees the key for other processes before it wakes the calls that wait here.
                drop(lease);
                return finish(cache, &fill, &leader, unstored);
            }
        };
        // Memory must not outlive the envelope, which is made from here on.
        let now = cache.clock().now();
        let (published, value) = match lease {
            Some(lease) => {
                // No caller waits for a refresh: the tier may take its time.
                let budget = if matches!(job.reason, Reason::Refresh(_)) { cache.budget() } else { budget };
                Box::pin(publish(cache, &fill, lease, value, began.elapsed(), budget)).await
            }
            None => (Stored::InMemoryOnly { encoded: None }, value),
        };
        let stored = store(cache, &fill, &leader, now, value, published);
        match job.reason {
            Reason::Refresh(claim) if stored => claim.done(),
            Reason::Miss | Reason::Refresh(_) | Reason::Reload if !stored => count(&counters.fenced_publishes),
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
        };
        joined.map(|joined| match joined {
            Joined::Outcome(outcome) => outcome,
            Joined::Retry => Outcome::Abandoned,
        })
    }
}
