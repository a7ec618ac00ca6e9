//! The right to load a key in the whole fleet: a lease (Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013).
//! Its token is a fencing token: it rejects a late publish (Kleppmann, "How to do distributed locking", 2016).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::Instant;

use crate::coherence::stamps::Stamps;
use crate::function::call_key::Key;
use crate::primitives::timers::{sleep, timeout};
use crate::shared::budget::Budget;
use crate::shared::wire::envelope::fence_bytes;
use crate::shared::{
    Acquired, HEAD, LARGE, LEASE, Published, Release, Remote, RemoteError, RemoteFuture, Taken, Token,
};

/// How long a lease is renewed while its value is encoded, and while it is sent: longer than any transfer may take.
pub(crate) const SENDING: Duration = Duration::from_secs(600);

/// A lease, or the attempt to get one. Dropping it releases it.
pub(crate) struct Lease {
    remote: Arc<dyn Remote>,
    key: Arc<Key>,
    token: Token,
    /// The shared tier has granted it, or may have: the answer to an `acquire` that timed out is not known.
    maybe_held: bool,
    /// A load has ended under it.
    loaded: bool,
    /// The entry that was read is known to have been there when the lease was granted, so it had not been invalidated.
    has_entry: bool,
}

impl Lease {
    pub(crate) fn new(remote: Arc<dyn Remote>, key: Arc<Key>, token: Token) -> Self {
        remote.leases().add(token, key.clone());
        Self { remote, key, token, maybe_held: false, loaded: false, has_entry: false }
    }

    pub(crate) fn remote(&self) -> &dyn Remote {
        &*self.remote
    }

    /// Whether the entry that was read before the lease was granted, or with it, was not invalidated in between.
    pub(crate) fn has_entry(&self) -> bool {
        self.has_entry
    }

    pub(crate) fn token(&self) -> Token {
        self.token
    }

    /// Takes the lease, or registers this process for its end. `seen` is the fence of the entry that was read before, or
    /// empty: another process may have published since.
    pub(crate) async fn acquire(&mut self, seen: &[u8], budget: &mut Budget) -> Result<Acquired, RemoteError> {
        self.maybe_held = true;
        let Taken { is_granted, entry } =
            budget.spend(self.remote.take(self.key.address(), self.token, LEASE, HEAD)).await?;
        if !is_granted {
            return self.wait_in_line(seen, budget).await;
        }
        let fence = fence_bytes(entry.as_deref().unwrap_or_default());
        self.has_entry = !fence.is_empty();
        // If it changed, the lease is given back, and the entry read again.
        Ok(if fence.is_empty() || fence == seen { Acquired::Granted } else { Acquired::Changed })
    }

    /// Another process has been found to hold the lease: registers this process for its end, or takes it after all.
    pub(crate) async fn wait_in_line(&mut self, seen: &[u8], budget: &mut Budget) -> Result<Acquired, RemoteError> {
        self.maybe_held = true;
        // The script grants the lease where there is no entry any more, too, and does not say so.
        self.has_entry = false;
        let answer = budget.spend(self.remote.acquire(self.key.address(), self.token, LEASE, seen)).await?;
        self.maybe_held = answer == Acquired::Granted;
        Ok(answer)
    }

    /// Takes the lease if it is free, and reads the entry behind it: whatever is read is what a load under the lease
    /// replaces.
    pub(crate) async fn take_and_read(&mut self, budget: &mut Budget) -> Result<Taken, RemoteError> {
        self.maybe_held = true;
        let taken = budget.read(self.remote.take(self.key.address(), self.token, LEASE, LARGE)).await?;
        (self.maybe_held, self.has_entry) = (taken.is_granted, taken.entry.is_some());
        Ok(taken)
    }

    /// Runs a load, or the steps after it, and renews the lease meanwhile for at most `limit`. After that, or once the
    /// lease is lost, the load goes on without a lease: its result is fenced off if another process has loaded.
    pub(crate) async fn hold_while<F: Future>(&self, limit: Duration, load: F) -> F::Output {
        let (load, renewing) = (pin!(load), pin!(self.renew_for(limit)));
        match select(load, renewing).await {
            Either::Left((output, _)) => output,
            Either::Right(((), load)) => load.await,
        }
    }

    /// A load has ended under it.
    pub(crate) fn note_loaded(&mut self) {
        self.loaded = true;
    }

    async fn renew_for(&self, limit: Duration) {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            sleep(LEASE / 3).await;
            let renewed = timeout(LEASE / 3, self.remote.renew(self.key.address(), self.token, LEASE)).await;
            if let Ok(Ok(false)) = renewed {
                return;
            }
        }
    }

    /// Takes the lease from any holder, which deletes the stored entry. For a put.
    pub(crate) async fn seize(&mut self, stamps: &Stamps) -> Result<(), RemoteError> {
        self.maybe_held = true;
        let (key, stamp) = (self.key.address(), self.key.address().stamp().hash);
        stamps.found(stamp, self.remote.seize(key, &stamps.versions(stamp), self.token, LEASE).await)
    }

    /// Stores the load's result if the lease is still held, and ends it.
    pub(crate) async fn publish(
        self,
        entry: Vec<u8>,
        ttl: Duration,
        budget: &mut Budget,
    ) -> Result<Published, RemoteError> {
        let (remote, key, token) = (self.remote.clone(), self.key.clone(), self.token);
        match entry.len() {
            bytes @ LARGE.. => budget.spend_large(bytes, self.send_large(entry, ttl), remote.probe()).await,
            _ => self.published(budget.spend(remote.publish(key.address(), token, entry, ttl)).await),
        }
    }

    /// The same without a budget, for a put: its caller waits for the result.
    pub(crate) async fn publish_at_leisure(self, entry: Vec<u8>, ttl: Duration) -> Result<Published, RemoteError> {
        let (remote, key, token) = (self.remote.clone(), self.key.clone(), self.token);
        match entry.len() {
            LARGE.. => self.send_large(entry, ttl).await,
            _ => self.published(remote.publish(key.address(), token, entry, ttl).await),
        }
    }

    /// Sends in a task of its own, which renews the lease meanwhile: the transfer may take longer than the lease lives,
    /// and longer than the caller waits.
    fn send_large(self, entry: Vec<u8>, ttl: Duration) -> RemoteFuture<'static, Published> {
        let runtime = self.remote.runtime().clone();
        let sending = runtime.spawn(async move {
            let publishing = self.remote.publish(self.key.address(), self.token, entry, ttl);
            let answer = self.hold_while(SENDING, publishing).await;
            self.published(answer)
        });
        Box::pin(async move { sending.await.unwrap_or_else(|error| Err(RemoteError::unavailable(error.to_string()))) })
    }

    fn published(mut self, answer: Result<Published, RemoteError>) -> Result<Published, RemoteError> {
        let published = answer?;
        // With each of these answers the tier has ended the lease.
        self.maybe_held = false;
        Ok(published)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.remote.leases().remove(self.token);
        if self.maybe_held {
            let release = if self.loaded { Release::NothingStored } else { Release::NotLoaded };
            self.remote.release(self.key.address(), self.token, release);
        }
    }
}
