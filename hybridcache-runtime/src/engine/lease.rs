//! The right to load a key in the whole fleet: asks for the lease, and waits for its holder.
//!
//! The guard itself is in `cache/lease.rs`, with the papers that leases and fencing tokens are from.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join};
use tokio::time::Instant;

use crate::cache::fill::Fill;
use crate::cache::lease::Lease;
use crate::cache::read::{Interpreted, Read};
use crate::cache::remote_exchange::RemoteExchange;
use crate::engine::found::{Found, Round, Rounds};
use crate::engine::job::{Lead, Reason};
use crate::primitives::backoff::Backoff;
use crate::primitives::timers::timeout_at;
use crate::shared::budget::Budget;
use crate::shared::wakeups::Waiter;
use crate::shared::{Acquired, Invalidation, Lifespan, Remote, RemoteError, StampName, Taken, Wake};

/// A request for the lease, with its answer.
pub(super) struct LeaseAttempt {
    lease: Lease,
    /// Registered before the request was sent: the wake-up may arrive before the answer.
    waiter: Waiter,
    /// `None`: another process has the lease, and this one is not registered for its end yet.
    answer: Option<Acquired>,
}

/// The pauses between two reads while another process loads and no message can announce its end: this process is not
/// subscribed.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(25), Duration::from_millis(250));

impl Lead {
    /// Gets the lease, or waits for its holder.
    pub(super) async fn obtain(
        &self,
        exchange: &mut RemoteExchange<'_>,
        rounds: &mut Rounds,
        fence: &[u8],
        asked: Option<LeaseAttempt>,
    ) -> Result<Round, RemoteError> {
        let found = |found| Ok(Round::Found(found));
        let LeaseAttempt { mut lease, waiter, answer } = match asked {
            None => self.ask(exchange, fence).await?,
            Some(asked) => asked,
        };
        let mut answer = match answer {
            None => lease.wait_in_line(fence, exchange.budget).await?,
            Some(answer) => answer,
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
            if Instant::now() >= self.job.deadline {
                // A caller that waits gets a load of its own. A refresh does not: the lease holder's result will do.
                let nobody_waits = matches!(self.job.reason, Reason::Refresh(_));
                return found(if nobody_waits { Found::HeldByOther } else { Found::Degraded });
            }
            match (&self.job.reason, exchange.remote.is_subscribed()) {
                (Reason::Reload, _) => self.end_older_load(exchange).await?,
                (_, _) if rounds.in_vain => return found(Found::InVain),
                // The holder released the lease, or died and did not renew it: ask again.
                (_, true) => {
                    let woken = self.wait(&waiter, left).await;
                    exchange.budget.renew();
                    if !exchange.fill.origin.seen.is_current() {
                        return found(Found::StampsChanged);
                    }
                    match (woken, &self.job.reason) {
                        (Some(Wake::Published), _) => {
                            rounds.published = true;
                            return Ok(Round::Waited);
                        }
                        // The other process's load has just stored nothing. This refresh ends as failed, so that the
                        // next attempt waits for the backoff.
                        (Some(Wake::NothingStored), Reason::Refresh(_)) => return found(Found::InVain),
                        // All waiting processes are woken, and one of them gets the lease. The others must not wait for
                        // it in turn, as its load may store nothing either: they load beside it, without a lease.
                        (Some(Wake::NothingStored), _) => rounds.in_vain = true,
                        (Some(Wake::Released) | None, _) => {}
                    }
                }
                (_, false) => {
                    self.wait(&waiter, PAUSES.pause(rounds.waits)).await;
                    exchange.budget.renew();
                    let is_current = exchange.fill.origin.seen.is_current();
                    return if is_current { Ok(Round::Waited) } else { found(Found::StampsChanged) };
                }
            }
            answer = self.acquire(&mut lease, exchange, fence).await?;
        }
    }

    /// Takes the lease and reads the entry in the same round trip. If the entry turns out to be usable, the lease is given
    /// back.
    pub(super) async fn take_and_read(
        &self,
        exchange: &mut RemoteExchange<'_>,
    ) -> Result<(Read, LeaseAttempt), RemoteError> {
        let (waiter, mut lease) = self.prepare(exchange.remote).await;
        let RemoteExchange { remote, fill, budget } = exchange;
        let unknown = fill.origin.seen.unknown();
        let Taken { is_granted, entry } = if unknown.is_empty() {
            lease.take_and_read(budget).await?
        } else {
            let mut beside = budget.secondary();
            let asking = lease.take_and_read(budget).boxed();
            let creating = Creating { stamps: &unknown, lifespan: self.job.cache.lifespan(&self.job.plan) };
            let asked = Box::pin(creating.alongside(&***remote, fill, &mut beside, asking)).await;
            budget.spent_secondary(&beside);
            asked?
        };
        let entry = self.job.cache.complete(exchange, entry).await?;
        let read = match self.job.cache.interpret(exchange, entry, &[]).await {
            Interpreted::Read(read) => read,
            Interpreted::InDoubt(_) => self.job.cache.read(exchange).await?,
        };
        // The entry was read behind the lease: there is no fence to compare.
        Ok((read, LeaseAttempt { lease, waiter, answer: is_granted.then_some(Acquired::Granted) }))
    }

    async fn ask(&self, exchange: &mut RemoteExchange<'_>, fence: &[u8]) -> Result<LeaseAttempt, RemoteError> {
        let (waiter, mut lease) = self.prepare(exchange.remote).await;
        let answer = Some(self.acquire(&mut lease, exchange, fence).await?);
        Ok(LeaseAttempt { lease, waiter, answer })
    }

    /// Moves the flight to a task first: a caller may stop polling while it holds the lease, and would block the key in
    /// the whole fleet.
    async fn prepare(&self, remote: &Arc<dyn Remote>) -> (Waiter, Lease) {
        self.leader.ensure_spawned().await;
        let key = self.leader.key();
        let waiter = self.job.cache.local().waiters.register(key.id());
        (waiter, Lease::new(remote.clone(), key.clone(), self.job.cache.next_token()))
    }

    async fn acquire(
        &self,
        lease: &mut Lease,
        exchange: &mut RemoteExchange<'_>,
        fence: &[u8],
    ) -> Result<Acquired, RemoteError> {
        let RemoteExchange { remote, fill, budget } = exchange;
        let unknown = fill.origin.seen.unknown();
        if unknown.is_empty() {
            return lease.acquire(fence, budget).await;
        }
        let mut beside = budget.secondary();
        let asking = lease.acquire(fence, budget).boxed();
        let creating = Creating { stamps: &unknown, lifespan: self.job.cache.lifespan(&self.job.plan) };
        let acquired = Box::pin(creating.alongside(&***remote, fill, &mut beside, asking)).await;
        budget.spent_secondary(&beside);
        acquired
    }

    /// Expires the entry, which ends the lease of the load under way: it began before this reload, so its result must
    /// not be stored.
    async fn end_older_load(&self, exchange: &mut RemoteExchange<'_>) -> Result<(), RemoteError> {
        let (local, address) = (self.job.cache.local(), self.leader.key().address());
        exchange.budget.spend(Box::pin(local.tell_invalidated(&**exchange.remote, address, Invalidation::Expire))).await
    }

    /// Waits for a message, or until the lease has expired. The jitter spreads the requests of all processes that wait
    /// for a holder that died.
    async fn wait(&self, waiter: &Waiter, left: Duration) -> Option<Wake> {
        let jitter = Duration::from_millis(fastrand::u64(1..=25));
        timeout_at(self.job.deadline.min(Instant::now() + left + jitter), waiter.woken()).await.ok()
    }
}

/// Stamps that do not exist in the shared tier yet, or not for this version of the function. The loaded value will
/// carry them.
struct Creating<'a> {
    stamps: &'a [StampName],
    lifespan: Lifespan,
}

impl Creating<'_> {
    /// Creates the stamps while the lease is being asked for: both requests are sent before either is answered.
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
