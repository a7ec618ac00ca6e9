//! A flight's task: looking in the shared tier, taking the lease, running the load under it, storing the outcome.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, select};
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;
use tracing::Span;

use crate::cache::HybridCache;
use crate::cache::fill::Fill;
use crate::cache::lease::{Lease, SENDING};
use crate::cache::write::Load;
use crate::coherence::stamps::StampSnapshot;
use crate::engine::lookup::{Found, Source};
use crate::engine::task::{Loaded, WAIT, Work};
use crate::entry::plan::Plan;
use crate::entry::value_type::AnyValue;
use crate::entry::{Entry, Fence, FilledUnder, RefreshClaim};
use crate::flight::Leader;
use crate::flight::outcome::Outcome;
use crate::primitives::clock::Millis;
use crate::primitives::timers::timeout_at;
use crate::shared::budget::Budget;
use crate::shared::{Published, Remote};
use crate::stats::count;

/// One flight and what it is for.
pub(crate) struct Errand {
    pub(crate) cache: HybridCache,
    pub(crate) plan: Plan,
    pub(crate) leader: Leader,
    pub(crate) reason: Reason,
    /// Until then it may wait for other processes.
    pub(crate) deadline: Instant,
    /// It is part of another load.
    pub(crate) nested: bool,
    /// The shared tier is likely to have nothing.
    pub(crate) expects_a_miss: bool,
    /// Where the load's own spans and events belong.
    pub(crate) span: Span,
}

/// What a flight is for.
#[derive(Debug)]
pub(crate) enum Reason {
    /// Somebody waits; anything that is cached will do.
    Miss,
    /// Nobody waits: an entry is stale.
    Refresh(RefreshClaim),
    /// Somebody waits for a value that was loaded from now on.
    Reload,
    /// Somebody waits; nothing is read or stored.
    Bypass,
    /// The same, for one who has waited for others too long.
    WaitedTooLong,
}

/// Where a loaded value is to go, or has gone; with the bytes that it takes encoded.
enum Stored {
    InBothTiers {
        encoded: usize,
        fence: Fence,
    },
    InMemoryOnly {
        encoded: Option<usize>,
    },
    /// Somebody invalidated the key, or took over, while it was loaded.
    Nowhere,
}

/// Runs a flight to its end.
pub(crate) fn lead(errand: Box<Errand>, work: Work) -> BoxFuture<'static, ()> {
    match errand.remote() {
        Some(remote) => lead_under(errand.leader.capture_stamps().clone(), remote, errand, work),
        None => Box::pin(errand.load_unshared(work)),
    }
}

/// The same under these stamps. Each part has its own box: most flights need one only, and a box of a kilobyte or more is
/// dear.
fn lead_under(seen: StampSnapshot, remote: Arc<dyn Remote>, errand: Box<Errand>, work: Work) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let origin = errand.cache.origin(&seen);
        let mut budget = errand.cache.budget();
        let found = match errand.reason {
            Reason::WaitedTooLong => Found::Degraded,
            _ => Box::pin(errand.seek(&remote, origin, &mut budget)).await,
        };
        match found {
            Found::Fresh(entry, source) => errand.adopt(&entry, source, origin),
            Found::Stale(entry, source) => errand.serve_stale(entry, source, origin, work),
            Found::Leased(lease) => Box::pin(errand.load(work, Some(lease), origin, budget)).await,
            Found::StampsChanged => {
                let seen = errand.cache.capture_stamps(errand.leader.key(), &errand.plan);
                lead_under(seen, remote, errand, work).await;
            }
            Found::HeldByOther => errand.leave(),
            // The claim counts as one that has failed. Whoever has joined meanwhile looks for itself.
            Found::InVain if matches!(errand.reason, Reason::Refresh(_)) => {}
            Found::InVain | Found::Degraded => Box::pin(errand.load_degraded(work, origin, budget)).await,
        }
    })
}

impl Errand {
    /// Runs the flight in a task.
    pub(crate) fn spawn(self: Box<Self>, work: Work) {
        match self.remote() {
            Some(_) => drop(tokio::spawn(lead(self, work))),
            None => drop(tokio::spawn(self.load_unshared(work))),
        }
    }

    /// Whether somebody waits for it who may get it from the shared tier.
    pub(crate) fn looks_first(&self) -> bool {
        matches!(self.reason, Reason::Miss) && !self.expects_a_miss && self.remote().is_some()
    }

    /// Where it looks first, and stores.
    fn remote(&self) -> Option<Arc<dyn Remote>> {
        match self.reason {
            Reason::Bypass => None,
            _ => self.cache.remote_for(&self.leader.key().function, &self.plan).cloned(),
        }
    }

    /// Loads what is none of the shared tier's business.
    async fn load_unshared(self: Box<Self>, work: Work) {
        let seen = self.leader.capture_stamps().clone();
        let (origin, budget) = (self.cache.origin(&seen), self.cache.budget());
        self.load(work, None, origin, budget).await;
    }

    /// There is a value already.
    fn adopt(self: Box<Self>, entry: &Arc<Entry>, source: Source, origin: FilledUnder<'_>) {
        self.take_in(entry, source, origin);
        if let Reason::Refresh(claim) = self.reason {
            claim.done();
        }
        self.leader.finish(|_| Outcome::Value(entry.clone()));
    }

    /// Answers with a stale entry, and goes on to refresh it.
    fn serve_stale(self: Box<Self>, entry: Arc<Entry>, source: Source, origin: FilledUnder<'_>, work: Work) {
        self.take_in(&entry, source, origin);
        let Self { cache, plan, leader, nested, span, .. } = *self;
        let key = leader.key().clone();
        let counters = &key.function.counters;
        counters.stale_hits.count();
        let claim = RefreshClaim::take(&entry, cache.clock(), cache.clock().now());
        leader.finish(|_| Outcome::Value(entry));
        let Some(claim) = claim else { return };
        // Whoever holds the key now found the entry in memory and leaves at once: the next hit starts the refresh.
        let Some(leader) = cache.local().flights.lead(&key, || cache.capture_stamps(&key, &plan)) else {
            return claim.done();
        };
        count(&counters.refreshes);
        let deadline = Instant::now() + plan.timeout.unwrap_or(WAIT);
        // A task of its own: this one may be the caller's.
        let (reason, expects_a_miss) = (Reason::Refresh(claim), false);
        let errand = Errand { cache, plan, leader, reason, deadline, nested, expects_a_miss, span };
        tokio::spawn(lead(Box::new(errand), work));
    }

    /// Another process is at it. Whoever has joined meanwhile looks for itself.
    fn leave(self: Box<Self>) {
        if let Reason::Refresh(claim) = self.reason {
            claim.done();
        }
    }

    /// Into memory, or trusted again, unless the key was invalidated meanwhile.
    fn take_in(&self, entry: &Arc<Entry>, source: Source, origin: FilledUnder<'_>) {
        let counters = &self.leader.key().function.counters;
        match (source, &self.reason) {
            // It counts as one when it was begun.
            (_, Reason::Refresh(_)) => {}
            (Source::Redis, _) => count(&counters.hits_redis),
            (Source::Memory | Source::Unproven, _) => counters.hits_memory.count(),
        }
        if source == Source::Memory {
            count(&counters.revalidated);
        }
        if source != Source::Unproven {
            self.leader.store(|| self.cache.local().admit(entry, origin.epoch, origin.began));
        }
    }

    /// Loads without a lease, when it is its turn.
    async fn load_degraded(self: Box<Self>, work: Work, origin: FilledUnder<'_>, budget: Budget) {
        self.leader.ensure_spawned().await;
        count(&self.leader.key().function.counters.degraded_loads);
        let cache = self.cache.clone();
        // Nobody waits for a refresh, whoever has started it.
        let is_awaited = self.nested && !matches!(self.reason, Reason::Refresh(_));
        let permit = if is_awaited { None } else { self.turn(&cache).await };
        if permit.is_none() && !is_awaited && self.plan.timeout.is_some() && Instant::now() >= self.deadline {
            let counters = &self.leader.key().function.counters;
            count(&counters.load_errors);
            count(&counters.timeouts);
            return self.leader.finish(|_| Outcome::TimedOut);
        }
        self.load(work, None, origin, budget).await;
        // Only now may another one load.
        drop(permit);
    }

    /// Waits among all that load without a lease, until the deadline, or for a while where there is none. One that others wait for who have had their turn does not: they would
    /// wait for each other.
    async fn turn<'a>(&self, cache: &'a HybridCache) -> Option<SemaphorePermit<'a>> {
        let (turn, hurried) = (std::pin::pin!(cache.degraded().acquire()), std::pin::pin!(self.leader.hurried()));
        let until = match self.plan.timeout {
            Some(_) => self.deadline,
            None => Instant::now() + WAIT,
        };
        match timeout_at(until, select(turn, hurried)).await {
            Ok(Either::Left((permit, _))) => permit.ok(),
            Ok(Either::Right(_)) | Err(_) => None,
        }
    }

    async fn load(mut self: Box<Self>, work: Work, mut lease: Option<Lease>, origin: FilledUnder<'_>, budget: Budget) {
        let span = std::mem::replace(&mut self.span, Span::none());
        let (key, timeout) = (self.leader.key(), self.plan.timeout);
        let counters = &key.function.counters;
        count(&counters.loads);
        if matches!(self.reason, Reason::Miss) {
            count(&counters.misses);
        }
        if let Some(lease) = &lease {
            origin.seen.prolong(self.cache.lifespan(&self.plan), lease.remote());
        }
        self.leader.begin_load(timeout);
        let began = Instant::now();
        let loaded = match &mut lease {
            // In boxes of their own, here and below: a load without a lease does not pay for them.
            Some(lease) => {
                let limit = timeout.unwrap_or(self.cache.limits().lease_limit);
                let loaded = Box::pin(lease.hold_while(limit, work.run(key, timeout, span))).await;
                lease.note_loaded();
                loaded
            }
            None => work.run(key, timeout, span).await,
        };
        let fill = Fill { key, plan: &self.plan, origin };
        let value = match loaded {
            Loaded::Value(value) => value,
            unstored => {
                // Free the key for others before waking those who wait here.
                drop(lease);
                return finish(&self.cache, &fill, &self.leader, unstored);
            }
        };
        // Memory must not outlive the envelope, which is made from here on.
        let now = self.cache.clock().now();
        let (published, value) = match lease {
            Some(lease) => {
                // Nobody waits for a refresh: the tier may take its time.
                let budget = if matches!(self.reason, Reason::Refresh(_)) { self.cache.budget() } else { budget };
                Box::pin(publish(&self.cache, &fill, lease, value, began.elapsed(), budget)).await
            }
            None => (Stored::InMemoryOnly { encoded: None }, value),
        };
        let stored = store(&self.cache, &fill, &self.leader, now, value, published);
        match self.reason {
            Reason::Refresh(claim) if stored => claim.done(),
            Reason::Miss | Reason::Refresh(_) | Reason::Reload if !stored => count(&counters.fenced_publishes),
            _ => {}
        }
    }
}

/// Puts a loaded value into memory and hands it out; `false`: it was not to be stored any more.
fn store(
    cache: &HybridCache,
    fill: &Fill<'_>,
    leader: &Leader,
    now: Millis,
    value: Box<AnyValue>,
    published: Stored,
) -> bool {
    let (encoded, fence) = match published {
        Stored::InBothTiers { encoded, fence } => (Some(encoded), Some(fence)),
        Stored::InMemoryOnly { encoded } => (encoded, None),
        Stored::Nowhere => (None, None),
    };
    let Some(entry) = fill.entry(now, value, encoded, fence) else { return false };
    let stored = !matches!(published, Stored::Nowhere)
        && fill.origin.seen.is_current()
        && leader.store(|| cache.local().memory.insert(entry.clone()));
    if stored {
        leader.finish(|_| Outcome::Value(entry));
    } else {
        leader.finish_fenced(Outcome::Value(entry));
    }
    stored
}

/// Sends a value to the shared tier, and gives it back.
async fn publish(
    cache: &HybridCache,
    fill: &Fill<'_>,
    lease: Lease,
    value: Box<AnyValue>,
    took: Duration,
    mut budget: Budget,
) -> (Stored, Box<AnyValue>) {
    let load = Load { token: lease.token(), took };
    let (bytes, value) = lease.hold_while(SENDING, cache.encode(lease.remote(), fill, value, load)).await;
    let Some(bytes) = bytes else {
        return (Stored::InMemoryOnly { encoded: None }, value);
    };
    let encoded = bytes.len();
    let stored = match lease.publish(bytes, fill.plan.shared_for(&*value), &mut budget).await {
        Ok(Published::Stored) => {
            budget.succeeded();
            Stored::InBothTiers { encoded, fence: load.token.to_bytes() }
        }
        Ok(Published::Fenced) => Stored::Nowhere,
        Ok(Published::Refused) => {
            count(&fill.key.function.counters.redis_errors);
            // The tier has said why.
            Stored::InMemoryOnly { encoded: Some(encoded) }
        }
        Err(error) => {
            count(&fill.key.function.counters.redis_errors);
            cache.log_failure(&error);
            Stored::InMemoryOnly { encoded: Some(encoded) }
        }
    };
    (stored, value)
}

/// Hands out what is not stored.
fn finish(cache: &HybridCache, fill: &Fill<'_>, leader: &Leader, loaded: Loaded) {
    let counters = &fill.key.function.counters;
    if !matches!(loaded, Loaded::Value(_) | Loaded::NotStored(_)) {
        count(&counters.load_errors);
    }
    match loaded {
        Loaded::Value(value) | Loaded::NotStored(value) => {
            // Else the leader, when it is dropped, sends the others on.
            if let Some(entry) = fill.entry(cache.clock().now(), value, None, None) {
                leader.finish(|_| Outcome::Value(entry));
            }
        }
        Loaded::Error(failure) => leader.finish(|others| Outcome::Failed(Arc::new(failure(others)))),
        Loaded::Panicked(message) => leader.finish(|_| Outcome::Panicked(message)),
        Loaded::TimedOut => {
            count(&counters.timeouts);
            leader.finish(|_| Outcome::TimedOut);
        }
    }
}
