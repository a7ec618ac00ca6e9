//! A flight's task: looking in the shared tier, taking the lease, running the load under it, storing the outcome.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join};
use tokio::time::{Instant, timeout_at};
use tracing::{Span, debug};

use crate::budget::Budget;
use crate::cache::{Fill, HybridCache, Load, Read};
use crate::entry::{Entry, RefreshClaim};
use crate::flight::Leader;
use crate::lease::Lease;
use crate::outcome::Outcome;
use crate::remote::{Acquired, Invalidation, Published, Remote, RemoteError, Wake};
use crate::settings::Plan;
use crate::stats::{Counters, count};
use crate::value::AnyValue;
use crate::waiters::Waiter;
use crate::work::{Loaded, WAIT, Work};

/// One flight and what it is for.
pub(crate) struct Errand {
    pub(crate) cache: HybridCache,
    pub(crate) plan: Plan,
    pub(crate) leader: Leader,
    pub(crate) goal: Goal,
    /// Until then it may wait for other processes.
    pub(crate) deadline: Instant,
    /// Where the load's own spans and events belong.
    pub(crate) span: Span,
}

/// What a flight is for.
#[derive(Debug)]
pub(crate) enum Goal {
    /// Somebody waits; anything that is cached will do.
    Value,
    /// Nobody waits: an entry is stale.
    Refresh(RefreshClaim),
    /// Somebody waits for a value that was loaded from now on.
    Anew,
    /// Somebody waits; nothing is read or stored.
    Alone,
}

/// What the shared tier had to say.
enum Found {
    Fresh(Arc<Entry>),
    Stale(Arc<Entry>),
    /// Ours to load, in the whole fleet.
    Leased(Lease),
    /// To be loaded without a lease: there is no shared tier, it does not answer, or the wait was too long.
    Unleased,
}

/// Where a loaded value went.
enum Stored {
    InBothTiers,
    InMemoryOnly,
    /// Somebody invalidated the key, or took over, while it was loaded.
    Nowhere,
}

/// Runs a flight to its end. (Boxed by hand: a stale find runs a second flight from within.)
pub(crate) fn lead(errand: Errand, work: Work) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let epoch = errand.cache.local().epoch();
        let remote = errand.cache.remote_for(&errand.leader.key().function, &errand.plan).cloned();
        let found = match (&errand.goal, remote) {
            (Goal::Alone, _) | (_, None) => Found::Unleased,
            (_, Some(remote)) => errand.seek(&remote, epoch).await,
        };
        match found {
            Found::Fresh(entry) => errand.adopt(entry),
            Found::Stale(entry) => errand.serve_stale(entry, work).await,
            Found::Leased(lease) => errand.load(work, Some(lease), epoch).await,
            Found::Unleased => errand.load(work, None, epoch).await,
        }
    })
}

/// What one round of seeking came to.
enum Round {
    Found(Found),
    /// The entry changed between the reading and the asking for the lease.
    Changed,
    /// Another process loads, or did.
    Waited,
}

/// How often an entry may change in a row before the load goes on without a lease.
const CHANGES: usize = 16;

/// How often another process's load is looked after while no message can tell that it ended.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

impl Errand {
    fn counters(&self) -> &Counters {
        &self.leader.key().function.counters
    }

    fn fill(&self, epoch: u64) -> Fill<'_> {
        Fill { key: self.leader.key(), plan: &self.plan, seen: self.leader.seen(), epoch }
    }

    /// Reads, or gets the lease, or waits for who has it and reads again.
    async fn seek(&self, remote: &Arc<dyn Remote>, epoch: u64) -> Found {
        let mut budget = self.cache.budget();
        let mut pause = FIRST_PAUSE;
        let mut changes = 0;
        loop {
            match self.seek_once(remote, epoch, &mut budget, pause).await {
                Ok(Round::Found(found)) => return found,
                Ok(Round::Changed) if changes == CHANGES => return Found::Unleased,
                Ok(Round::Changed) => changes += 1,
                Ok(Round::Waited) => pause = (pause * 2).min(LONGEST_PAUSE),
                Err(error) => {
                    count(&self.counters().redis_errors);
                    debug!(key = self.leader.key().address.readable(), %error, "going on without Redis");
                    return Found::Unleased;
                }
            }
        }
    }

    async fn seek_once(
        &self,
        remote: &Arc<dyn Remote>,
        epoch: u64,
        budget: &mut Budget,
        pause: Duration,
    ) -> Result<Round, RemoteError> {
        let fence = match (self.cache.read(&**remote, &self.fill(epoch), budget).await?, &self.goal) {
            (Read::Fresh(entry, _), Goal::Value | Goal::Refresh(_)) => return Ok(Round::Found(Found::Fresh(entry))),
            (Read::Stale(entry, _), Goal::Value) => return Ok(Round::Found(Found::Stale(entry))),
            (Read::Fresh(_, fence) | Read::Stale(_, fence) | Read::Absent(fence), _) => fence,
        };
        // Before the lease is asked for: the wake-up may overtake the answer.
        let waiter = self.cache.local().waiters.register(self.leader.key().id());
        let mut lease = Lease::new(remote.clone(), self.leader.key().clone(), self.cache.next_token());
        loop {
            let left = match self.acquire(&mut lease, &**remote, &fence, budget).await? {
                Acquired::Granted => return Ok(Round::Found(Found::Leased(lease))),
                Acquired::Changed => return Ok(Round::Changed),
                Acquired::Held(left) => left,
            };
            if Instant::now() >= self.deadline {
                return Ok(Round::Found(Found::Unleased));
            }
            match (&self.goal, remote.is_subscribed()) {
                (Goal::Anew, _) => self.end_older_load(&**remote, budget).await?,
                // Released, or not renewed: ask again.
                (_, true) => {
                    if let Some(Wake::Published) = self.wait(&waiter, left).await {
                        return Ok(Round::Waited);
                    }
                }
                (_, false) => {
                    self.wait(&waiter, pause).await;
                    return Ok(Round::Waited);
                }
            }
        }
    }

    /// Asks for the lease, and for stamps that do not exist yet: what is loaded from now on will carry them. Both are sent
    /// before either is answered.
    async fn acquire(
        &self,
        lease: &mut Lease,
        remote: &dyn Remote,
        fence: &[u8],
        budget: &mut Budget,
    ) -> Result<Acquired, RemoteError> {
        let seen = self.leader.seen();
        let unknown = seen.unknown();
        if unknown.is_empty() {
            return lease.acquire(fence, budget).await;
        }
        let mut beside = self.cache.budget();
        let creating = beside.spend(remote.create_stamps(&unknown));
        let (created, acquired) = join(creating, lease.acquire(fence, budget)).await;
        seen.learn(&unknown, created?.into_iter().map(Some));
        acquired
    }

    /// The load under way began before this one: it must not store.
    async fn end_older_load(&self, remote: &dyn Remote, budget: &mut Budget) -> Result<(), RemoteError> {
        budget.spend(remote.invalidate(&self.leader.key().address, Invalidation::Expire)).await
    }

    /// Waits for a message, or until the lease must have ended.
    async fn wait(&self, waiter: &Waiter, left: Duration) -> Option<Wake> {
        let jitter = Duration::from_millis(fastrand::u64(1..=25));
        timeout_at(self.deadline.min(Instant::now() + left + jitter), waiter.woken()).await.ok()
    }

    /// The shared tier has what was sought.
    fn adopt(self, entry: Arc<Entry>) {
        match self.goal {
            Goal::Refresh(claim) => claim.done(),
            Goal::Value | Goal::Anew | Goal::Alone => count(&self.leader.key().function.counters.hits_redis),
        }
        self.leader.store(|| self.cache.local().memory.insert(entry.clone()));
        self.leader.finish(|_| Outcome::Value(entry));
    }

    /// Answers with a stale entry, and goes on to refresh it.
    async fn serve_stale(self, entry: Arc<Entry>, work: Work) {
        let Self { cache, plan, leader, span, .. } = self;
        let key = leader.key().clone();
        let counters = &key.function.counters;
        count(&counters.hits_redis);
        counters.stale_hits.count();
        let claim = RefreshClaim::take(&entry, cache.clock(), cache.clock().now());
        leader.store(|| cache.local().memory.insert(entry.clone()));
        leader.finish(|_| Outcome::Value(entry));
        let Some(claim) = claim else { return };
        // Whoever holds the key now found the entry in memory and leaves at once: the next hit starts the refresh.
        let Some(leader) = cache.local().flights.lead(&key, cache.seen(&key, &plan)) else { return claim.done() };
        count(&counters.refreshes);
        let deadline = Instant::now() + plan.timeout.unwrap_or(WAIT);
        lead(Errand { cache, plan, leader, goal: Goal::Refresh(claim), deadline, span }, work).await;
    }

    async fn load(self, work: Work, lease: Option<Lease>, epoch: u64) {
        let Self { cache, plan, leader, goal, span, .. } = self;
        let key = leader.key().clone();
        let counters = &key.function.counters;
        count(&counters.loads);
        if matches!(goal, Goal::Value) {
            count(&counters.misses);
        }
        leader.begin_load(plan.timeout);
        let began = Instant::now();
        let running = work.run(&key, plan.timeout, span);
        let loaded = match &lease {
            Some(lease) => lease.hold_while(plan.timeout.unwrap_or(cache.limits().lease_limit), running).await,
            None => running.await,
        };
        let seen = leader.seen().clone();
        let fill = Fill { key: &key, plan: &plan, seen: &seen, epoch };
        match loaded {
            Loaded::Value(value) => {
                let stored = store(&cache, &fill, leader, lease, value, began.elapsed()).await;
                match goal {
                    Goal::Refresh(claim) if stored => claim.done(),
                    Goal::Value | Goal::Refresh(_) | Goal::Anew if !stored => count(&counters.fenced_publishes),
                    _ => {}
                }
            }
            unstored => {
                // Free the key for others before waking those who wait here.
                drop(lease);
                finish(&cache, &fill, leader, unstored);
            }
        }
    }
}

/// Stores a loaded value and hands it out; `false`: it was not to be stored any more.
async fn store(
    cache: &HybridCache,
    fill: &Fill<'_>,
    leader: Leader,
    lease: Option<Lease>,
    value: Box<AnyValue>,
    took: Duration,
) -> bool {
    let (stored, encoded) = match lease {
        Some(lease) => publish(cache, fill, lease, &*value, took).await,
        None => (Stored::InMemoryOnly, None),
    };
    let Some(entry) = cache.entry(fill, value, encoded) else { return false };
    match stored {
        Stored::InBothTiers | Stored::InMemoryOnly => {
            let stored = fill.seen.is_current() && leader.store(|| cache.local().memory.insert(entry.clone()));
            leader.finish(|_| Outcome::Value(entry));
            stored
        }
        Stored::Nowhere => {
            leader.finish_fenced(Outcome::Value(entry));
            false
        }
    }
}

/// Sends a value to the shared tier; also tells how many bytes it took.
async fn publish(
    cache: &HybridCache,
    fill: &Fill<'_>,
    lease: Lease,
    value: &AnyValue,
    took: Duration,
) -> (Stored, Option<usize>) {
    let load = Load { token: lease.token(), took };
    let Some(bytes) = cache.encode(lease.remote(), fill, value, load) else { return (Stored::InMemoryOnly, None) };
    let encoded = Some(bytes.len());
    let ttl = Duration::from_millis(fill.plan.lifetimes.ttl());
    let counters = &fill.key.function.counters;
    let stored = match lease.publish(bytes, ttl, &mut cache.budget()).await {
        Ok(Published::Stored) => Stored::InBothTiers,
        Ok(Published::Fenced) => Stored::Nowhere,
        Ok(Published::Refused) | Err(_) => {
            count(&counters.redis_errors);
            Stored::InMemoryOnly
        }
    };
    (stored, encoded)
}

/// Hands out what is not stored.
fn finish(cache: &HybridCache, fill: &Fill<'_>, leader: Leader, loaded: Loaded) {
    let counters = &fill.key.function.counters;
    if !matches!(loaded, Loaded::Value(_) | Loaded::NotStored(_)) {
        count(&counters.load_errors);
    }
    match loaded {
        Loaded::Value(value) | Loaded::NotStored(value) => match cache.entry(fill, value, None) {
            Some(entry) => leader.finish(|_| Outcome::Value(entry)),
            None => drop(leader),
        },
        Loaded::Error(failure) => leader.finish(|others| Outcome::Failed(Arc::new(failure(others)))),
        Loaded::Panicked(message) => leader.finish(|_| Outcome::Panicked(message)),
        Loaded::TimedOut => {
            count(&counters.timeouts);
            leader.finish(|_| Outcome::TimedOut);
        }
    }
}
