//! Looks for a key's value in the shared tier: verify, or read, ask for the lease, wait, and read again.

use std::sync::Arc;

use crate::cache::InMemory;
use crate::cache::fill::Fill;
use crate::cache::read::Read;
use crate::cache::remote_exchange::RemoteExchange;
use crate::engine::found::{Found, Place, Round, Rounds};
use crate::engine::job::{Lead, Reason, Stood};
use crate::entry::{Entry, FilledUnder, State};
use crate::shared::budget::Budget;
use crate::shared::{Remote, RemoteError};

/// The result of the lookup, where memory may have an unverified entry.
enum Known {
    /// The shared tier has the same entry under the same stamps: it has missed no invalidation.
    Verified,
    /// There is no such entry, or it is void.
    Continue(Found),
}

/// How many times in a row an entry may change before the call loads without a lease.
const CHANGES: usize = 16;

impl Lead {
    /// Reads the key, or gets its lease, or waits for the lease holder and reads again.
    pub(super) async fn look_up(
        &mut self,
        remote: &Arc<dyn Remote>,
        origin: FilledUnder<'_>,
        budget: &mut Budget,
    ) -> Found {
        // Taken out of the job: after `StampsChanged` this function runs again, and an entry that turned out void must
        // not be served if Redis fails then.
        let unverified = match std::mem::take(&mut self.job.in_memory) {
            InMemory::Unverified(entry) if matches!(self.job.reason, Reason::Miss) => Some(entry),
            other => {
                self.job.in_memory = other;
                None
            }
        };
        let this = &*self;
        let fill = Fill { key: &this.job.key, plan: &this.job.plan, origin };
        let mut exchange = RemoteExchange { remote, fill, budget };
        let mut rounds = Rounds::new(this.job.expects_a_miss);
        let found = this.verify_or_seek(&mut exchange, &mut rounds, unverified.as_deref()).await;
        // Not after the lease was granted: that call still needs Redis to answer its publish, and only then has Redis
        // been fast enough.
        if !matches!(found, Err(_) | Ok(Known::Continue(Found::Leased(_)))) {
            exchange.budget.succeeded();
        }
        let found = match found {
            Ok(Known::Verified) => unverified.map_or(Found::Degraded, |entry| this.held(entry, Place::Memory)),
            Ok(Known::Continue(found)) => found,
            Err(error) => {
                this.job.cache.redis_failed(&this.job.key, &error);
                let serves = this.job.cache.local().trust.serves_unverified();
                let unverified = unverified.filter(|_| serves);
                unverified.map_or(Found::Degraded, |entry| this.held(entry, Place::Unproven))
            }
        };
        // What was read may have been invalidated before the lease was granted.
        let is_void = matches!(&found, Found::Leased(lease) if !lease.has_entry());
        self.job.stood = if is_void { Stood::Nothing } else { rounds.stood };
        found
    }

    /// The entry in memory, by its times.
    fn held(&self, entry: Arc<Entry>, place: Place) -> Found {
        match entry.meta.unproven_state(self.job.cache.clock().now()) {
            State::Fresh | State::Unverified => Found::Fresh(entry, place),
            State::Stale => Found::Stale(entry, place),
            // Its lifetime ended, or it was invalidated, while Redis was asked.
            State::Gone => Found::Degraded,
        }
    }

    async fn verify_or_seek(
        &self,
        exchange: &mut RemoteExchange<'_>,
        rounds: &mut Rounds,
        unverified: Option<&Entry>,
    ) -> Result<Known, RemoteError> {
        if let Some(entry) = unverified
            && self.job.cache.verify(exchange, entry).await?
        {
            return Ok(Known::Verified);
        }
        self.seek(exchange, rounds).await.map(Known::Continue)
    }

    async fn seek(&self, exchange: &mut RemoteExchange<'_>, rounds: &mut Rounds) -> Result<Found, RemoteError> {
        loop {
            match self.seek_once(exchange, rounds).await? {
                Round::Found(found) => return Ok(found),
                Round::Changed if rounds.changes == CHANGES => return Ok(Found::Degraded),
                Round::Changed => rounds.changes += 1,
                Round::Waited => rounds.waits += 1,
            }
        }
    }

    async fn seek_once(&self, exchange: &mut RemoteExchange<'_>, rounds: &mut Rounds) -> Result<Round, RemoteError> {
        let found = |found| Ok(Round::Found(found));
        let (read, asked) = if std::mem::take(&mut rounds.expects_a_miss) {
            let (read, asked) = Box::pin(self.take_and_read(exchange)).await?;
            (read, Some(asked))
        } else {
            (self.job.cache.read(exchange).await?, None)
        };
        let is_hit = !matches!(read, Read::Absent(_) | Read::Undecodable(_));
        self.job.key.function.miss_predictor.learn(is_hit);
        let published = std::mem::take(&mut rounds.published);
        // The lease holder has published, and this process cannot decode it (another version of a type, say). Waiting
        // for the next holder would end the same way.
        rounds.in_vain |= published && matches!(read, Read::Undecodable(_));
        rounds.stood = Stood::Nothing;
        let fence = match (read, &self.job.reason) {
            (Read::Fresh(entry, fence), Reason::Refresh(claim)) if claim.replaces(&fence) => {
                // A refresh that was started early finds the entry that it is to replace.
                rounds.stood = Stood::Entry(entry);
                fence
            }
            (Read::Fresh(entry, _), Reason::Miss | Reason::Refresh(_)) if self.job.plan.accepts(&entry) => {
                return found(Found::Fresh(entry, Place::Redis));
            }
            (Read::Stale(entry, _), Reason::Miss) if self.job.plan.accepts(&entry) => {
                return found(Found::Stale(entry, Place::Redis));
            }
            (Read::Fresh(entry, fence) | Read::Stale(entry, fence), _) => {
                rounds.stood = Stood::Entry(entry);
                fence
            }
            (Read::Absent(fence) | Read::Undecodable(fence), _) => fence,
        };
        // In a box of its own, so that a hit does not allocate the state of a wait.
        Box::pin(self.obtain(exchange, rounds, &fence, asked)).await
    }
}
