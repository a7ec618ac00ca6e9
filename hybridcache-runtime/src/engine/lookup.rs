//! Looking for a key's value outside of this process, and for the right to load it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join};
use tokio::time::Instant;

use crate::cache::fill::Fill;
use crate::cache::lease::Lease;
use crate::cache::read::{Interpreted, Read};
use crate::engine::run::{Errand, Reason};
use crate::entry::{Entry, FilledUnder, State};
use crate::primitives::timers::timeout_at;
use crate::shared::Lifespan;
use crate::shared::budget::Budget;
use crate::shared::wakeups::Waiter;
use crate::shared::{Acquired, Invalidation, Remote, RemoteError, StampName, Wake};
use crate::stats::count;

/// What the shared tier had to say.
pub(crate) enum Found {
    Fresh(Arc<Entry>, Source),
    Stale(Arc<Entry>, Source),
    /// Ours to load, in the whole fleet.
    Leased(Lease),
    /// Nothing yet, and what is found or loaded under these stamps is void: a group was while another process was waited for.
    StampsChanged,
    /// Another process loads it, and nobody here waits for that.
    HeldByOther,
    /// Another process loads it, or did, and such loads store nothing: whoever needs a value loads at once, without a lease.
    InVain,
    /// To be loaded without a lease: the shared tier does not answer, or the wait was too long.
    Degraded,
}

/// Where an entry was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Redis,
    /// In memory; the shared tier has it still.
    Memory,
    /// In memory; the shared tier could not be asked.
    Unproven,
}

/// What became of an entry that may have missed its invalidation.
enum Known {
    /// It has not.
    Verified,
    /// There is none, or it has.
    Continue(Found),
}

/// What the rounds so far came to.
struct Rounds {
    expects_a_miss: bool,
    /// How many found another entry when they asked for the lease.
    changes: usize,
    /// For how long the next one waits where no message can come.
    pause: Duration,
    /// The last one ended with the message that there is an entry.
    published: bool,
    /// What others load does not come to this process: nothing is stored, or it cannot be decoded.
    in_vain: bool,
}

/// What one round of seeking came to.
enum Round {
    Found(Found),
    /// The entry changed between the reading and the asking for the lease.
    Changed,
    /// Another process loads, or did.
    Waited,
}

/// The lease was asked for.
struct LeaseAttempt {
    lease: Lease,
    /// Registered before: the wake-up may overtake the answer.
    waiter: Waiter,
    answer: Acquired,
}

/// How often an entry may change in a row before the load goes on without a lease.
const CHANGES: usize = 16;

/// How often another process's load is looked after while no message can tell that it ended.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

impl Errand {
    /// Reads, or gets the lease, or waits for who has it and reads again.
    pub(crate) async fn seek(&self, remote: &Arc<dyn Remote>, origin: FilledUnder<'_>, budget: &mut Budget) -> Found {
        let key = self.leader.key();
        let fill = Fill { key, plan: &self.plan, origin };
        let unverified = match self.reason {
            Reason::Miss => self.cache.unverified(key, &self.plan).filter(|entry| self.plan.accepts(entry)),
            Reason::Refresh(_) | Reason::Reload | Reason::Bypass | Reason::WaitedTooLong => None,
        };
        let sought = self.seek_proven(remote, &fill, unverified.as_deref(), budget).await;
        // Who has the lease still needs an answer to what it will publish.
        if !matches!(sought, Err(_) | Ok(Known::Continue(Found::Leased(_)))) {
            budget.succeeded();
        }
        match sought {
            Ok(Known::Verified) => unverified.map_or(Found::Degraded, |entry| self.held(entry, Source::Memory)),
            Ok(Known::Continue(found)) => found,
            Err(error) => {
                count(&key.function.counters.redis_errors);
                self.cache.log_failure(&error);
                let serves = self.cache.local().trust.serves_unverified();
                unverified.filter(|_| serves).map_or(Found::Degraded, |entry| self.held(entry, Source::Unproven))
            }
        }
    }

    /// What memory has.
    fn held(&self, entry: Arc<Entry>, source: Source) -> Found {
        match entry.meta.unproven_state(self.cache.clock().now()) {
            State::Fresh | State::Unverified => Found::Fresh(entry, source),
            State::Stale => Found::Stale(entry, source),
            // It has ended while Redis was asked.
            State::Gone => Found::Degraded,
        }
    }

    async fn seek_proven(
        &self,
        remote: &Arc<dyn Remote>,
        fill: &Fill<'_>,
        unverified: Option<&Entry>,
        budget: &mut Budget,
    ) -> Result<Known, RemoteError> {
        if let Some(unverified) = unverified
            && self.cache.verify(&**remote, fill, unverified, budget).await?
        {
            return Ok(Known::Verified);
        }
        let expects_a_miss = self.expects_a_miss;
        let mut rounds = Rounds { expects_a_miss, changes: 0, pause: FIRST_PAUSE, published: false, in_vain: false };
        loop {
            match self.seek_once(remote, fill, budget, &mut rounds).await? {
                Round::Found(found) => return Ok(Known::Continue(found)),
                Round::Changed if rounds.changes == CHANGES => return Ok(Known::Continue(Found::Degraded)),
                Round::Changed => rounds.changes += 1,
                Round::Waited => rounds.pause = (rounds.pause * 2).min(LONGEST_PAUSE),
            }
        }
    }

    async fn seek_once(
        &self,
        remote: &Arc<dyn Remote>,
        fill: &Fill<'_>,
        budget: &mut Budget,
        rounds: &mut Rounds,
    ) -> Result<Round, RemoteError> {
        let found = |found| Ok(Round::Found(found));
        let (read, asked) = if std::mem::take(&mut rounds.expects_a_miss) {
            let (read, asked) = Box::pin(self.read_and_ask(remote, fill, budget)).await?;
            (read, Some(asked))
        } else {
            (self.cache.read(&**remote, fill, budget).await?, None)
        };
        fill.key.function.miss_predictor.learn(!matches!(read, Read::Absent(_) | Read::Undecodable(_)));
        let published = std::mem::take(&mut rounds.published);
        rounds.in_vain |= published && matches!(read, Read::Undecodable(_));
        let fence = match (read, &self.reason) {
            (Read::Fresh(entry, _), Reason::Miss | Reason::Refresh(_)) if self.plan.accepts(&entry) => {
                return found(Found::Fresh(entry, Source::Redis));
            }
            (Read::Stale(entry, _), Reason::Miss) if self.plan.accepts(&entry) => {
                return found(Found::Stale(entry, Source::Redis));
            }
            (Read::Fresh(_, fence) | Read::Stale(_, fence) | Read::Absent(fence) | Read::Undecodable(fence), _) => {
                fence
            }
        };
        // In its own box, which a hit does not pay for.
        Box::pin(self.obtain(remote, fill, budget, rounds, &fence, asked)).await
    }

    /// Gets the lease, or waits for who has it.
    async fn obtain(
        &self,
        remote: &Arc<dyn Remote>,
        fill: &Fill<'_>,
        budget: &mut Budget,
        rounds: &mut Rounds,
        fence: &[u8],
        asked: Option<LeaseAttempt>,
    ) -> Result<Round, RemoteError> {
        let found = |found| Ok(Round::Found(found));
        let LeaseAttempt { mut lease, waiter, mut answer } = match asked {
            // It was asked for as if nothing stood there. What does is of no use.
            None | Some(LeaseAttempt { answer: Acquired::Changed, .. }) => {
                self.ask(remote, fill, fence, budget).await?
            }
            Some(asked) => asked,
        };
        loop {
            let left = match answer {
                Acquired::Granted => return found(Found::Leased(lease)),
                Acquired::Changed => return Ok(Round::Changed),
                Acquired::Held(left) => left,
                Acquired::HeldInVain => {
                    rounds.in_vain = true;
                    Duration::ZERO
                }
            };
            if Instant::now() >= self.deadline {
                let nobody_waits = matches!(self.reason, Reason::Refresh(_));
                return found(if nobody_waits { Found::HeldByOther } else { Found::Degraded });
            }
            match (&self.reason, remote.is_subscribed()) {
                (Reason::Reload, _) => self.end_older_load(&**remote, budget).await?,
                (_, _) if rounds.in_vain => return found(Found::InVain),
                // Released, or not renewed: ask again.
                (_, true) => {
                    let woken = self.wait(&waiter, left).await;
                    budget.renew();
                    if !fill.origin.seen.is_current() {
                        return found(Found::StampsChanged);
                    }
                    match (woken, &self.reason) {
                        (Some(Wake::Published), _) => {
                            rounds.published = true;
                            return Ok(Round::Waited);
                        }
                        // It was tried just now: this process's own attempt waits its time, too.
                        (Some(Wake::NothingStored), Reason::Refresh(_)) => return found(Found::InVain),
                        // Of those that were woken one gets the lease, and the others load beside it.
                        (Some(Wake::NothingStored), _) => rounds.in_vain = true,
                        (Some(Wake::Released) | None, _) => {}
                    }
                }
                (_, false) => {
                    self.wait(&waiter, rounds.pause).await;
                    budget.renew();
                    let is_current = fill.origin.seen.is_current();
                    return if is_current { Ok(Round::Waited) } else { found(Found::StampsChanged) };
                }
            }
            answer = self.acquire(&mut lease, &**remote, fill, fence, budget).await?;
        }
    }

    /// Reads, and asks for the lease in the same round trip.
    async fn read_and_ask(
        &self,
        remote: &Arc<dyn Remote>,
        fill: &Fill<'_>,
        budget: &mut Budget,
    ) -> Result<(Read, LeaseAttempt), RemoteError> {
        let (waiter, mut lease) = self.prepare(remote).await;
        let unknown = fill.origin.seen.unknown();
        let (entry, answer) = if unknown.is_empty() {
            lease.read_and_acquire(budget).await?
        } else {
            let mut beside = budget.secondary();
            let asking = lease.read_and_acquire(budget).boxed();
            let creating = Creating { stamps: &unknown, lifespan: self.cache.lifespan(&self.plan) };
            let asked = Box::pin(creating.alongside(&**remote, fill, &mut beside, asking)).await;
            budget.spent_secondary(&beside);
            asked?
        };
        let entry = self.cache.complete(&**remote, fill, entry, budget).await?;
        let read = match self.cache.interpret(&**remote, fill, entry, &[]).await {
            Interpreted::Read(read) => read,
            Interpreted::InDoubt(_) => self.cache.read(&**remote, fill, budget).await?,
        };
        Ok((read, LeaseAttempt { lease, waiter, answer }))
    }

    async fn ask(
        &self,
        remote: &Arc<dyn Remote>,
        fill: &Fill<'_>,
        fence: &[u8],
        budget: &mut Budget,
    ) -> Result<LeaseAttempt, RemoteError> {
        let (waiter, mut lease) = self.prepare(remote).await;
        let answer = self.acquire(&mut lease, &**remote, fill, fence, budget).await?;
        Ok(LeaseAttempt { lease, waiter, answer })
    }

    /// A lease must not be held by a caller whom nobody polls.
    async fn prepare(&self, remote: &Arc<dyn Remote>) -> (Waiter, Lease) {
        self.leader.ensure_spawned().await;
        let key = self.leader.key();
        let waiter = self.cache.local().waiters.register(key.id());
        (waiter, Lease::new(remote.clone(), key.clone(), self.cache.next_token()))
    }

    async fn acquire(
        &self,
        lease: &mut Lease,
        remote: &dyn Remote,
        fill: &Fill<'_>,
        fence: &[u8],
        budget: &mut Budget,
    ) -> Result<Acquired, RemoteError> {
        let unknown = fill.origin.seen.unknown();
        if unknown.is_empty() {
            return lease.acquire(fence, budget).await;
        }
        let mut beside = budget.secondary();
        let asking = lease.acquire(fence, budget).boxed();
        let creating = Creating { stamps: &unknown, lifespan: self.cache.lifespan(&self.plan) };
        let acquired = Box::pin(creating.alongside(remote, fill, &mut beside, asking)).await;
        budget.spent_secondary(&beside);
        acquired
    }

    /// The load under way began before this one: it must not store.
    async fn end_older_load(&self, remote: &dyn Remote, budget: &mut Budget) -> Result<(), RemoteError> {
        let (local, address) = (self.cache.local(), self.leader.key().address());
        budget.spend(Box::pin(local.tell_invalidated(remote, address, Invalidation::Expire))).await
    }

    /// Waits for a message, or until the lease must have ended.
    async fn wait(&self, waiter: &Waiter, left: Duration) -> Option<Wake> {
        let jitter = Duration::from_millis(fastrand::u64(1..=25));
        timeout_at(self.deadline.min(Instant::now() + left + jitter), waiter.woken()).await.ok()
    }
}

/// Stamps that do not exist yet, or do not name this version: what is loaded from now on will carry them.
struct Creating<'a> {
    stamps: &'a [StampName],
    lifespan: Lifespan,
}

impl Creating<'_> {
    /// Creates them while the lease is being asked for: both are sent before either is answered.
    async fn alongside<T>(
        self,
        remote: &dyn Remote,
        fill: &Fill<'_>,
        beside: &mut Budget,
        asking: BoxFuture<'_, Result<T, RemoteError>>,
    ) -> Result<T, RemoteError> {
        let asked_at = Instant::now();
        let creating = remote.create_stamps(self.stamps, self.lifespan.given);
        let (created, asked) = join(beside.spend(creating), asking).await;
        fill.origin.seen.learn_created(self.stamps, created?, asked_at + self.lifespan.given);
        asked
    }
}
