//! The shared tier with each step measured. What a tier does not answer (releases, prolongations) is not measured.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::observe::Subject;
use crate::observe::operation::{Operation, StepResult};
use crate::observe::steps::measured;
use crate::shared::leases::Leases;
use crate::shared::wire::names::Address;
use crate::shared::{
    Acquired, Fetched, Invalidation, Published, Release, Remote, RemoteError, RemoteErrorKind, RemoteFuture, StampName,
    StampValue, Taken, Token,
};

/// A tier, and where its steps are counted.
pub(crate) struct MeasuredTier {
    tier: Arc<dyn Remote>,
    events: Arc<Subject>,
}

impl MeasuredTier {
    pub(crate) fn new(tier: Arc<dyn Remote>, events: Arc<Subject>) -> Self {
        Self { tier, events }
    }

    fn measured<'a, T>(&'a self, operation: Operation, step: RemoteFuture<'a, T>) -> RemoteFuture<'a, T>
    where
        T: Send + 'a,
    {
        let server = || self.tier.server();
        Box::pin(measured(self.events.clone(), operation, server, step, result))
    }
}

fn result<T>(answer: &Result<T, RemoteError>) -> StepResult {
    match answer {
        Ok(_) => StepResult::Ok,
        Err(error) => match error.kind {
            RemoteErrorKind::Unavailable | RemoteErrorKind::PartDown => StepResult::Unavailable,
            RemoteErrorKind::Timeout | RemoteErrorKind::Transfer => StepResult::Timeout,
            RemoteErrorKind::Refused => StepResult::Refused,
        },
    }
}

impl Remote for MeasuredTier {
    fn fetch<'a>(&'a self, key: &'a Address, stamps: &'a [StampName]) -> RemoteFuture<'a, Fetched> {
        self.measured(Operation::Read, self.tier.fetch(key, stamps))
    }

    fn fetch_large<'a>(&'a self, key: &'a Address, stamps: &'a [StampName], bytes: usize) -> RemoteFuture<'a, Fetched> {
        self.measured(Operation::Read, self.tier.fetch_large(key, stamps, bytes))
    }

    fn fetch_head<'a>(&'a self, key: &'a Address, stamps: &'a [StampName]) -> RemoteFuture<'a, Fetched> {
        self.measured(Operation::Verify, self.tier.fetch_head(key, stamps))
    }

    fn create_stamps<'a>(&'a self, stamps: &'a [StampName], lifetime: Duration) -> RemoteFuture<'a, Vec<StampValue>> {
        self.measured(Operation::CreateStamps, self.tier.create_stamps(stamps, lifetime))
    }

    fn prolong_stamps(&self, stamps: &[StampName], lifetime: Duration) {
        self.tier.prolong_stamps(stamps, lifetime);
    }

    fn take<'a>(&'a self, key: &'a Address, token: Token, lease: Duration, bytes: usize) -> RemoteFuture<'a, Taken> {
        self.measured(Operation::Take, self.tier.take(key, token, lease, bytes))
    }

    fn acquire<'a>(
        &'a self,
        key: &'a Address,
        token: Token,
        lease: Duration,
        seen: &'a [u8],
    ) -> RemoteFuture<'a, Acquired> {
        self.measured(Operation::Acquire, self.tier.acquire(key, token, lease, seen))
    }

    fn renew<'a>(&'a self, key: &'a Address, token: Token, lease: Duration) -> RemoteFuture<'a, bool> {
        self.measured(Operation::Renew, self.tier.renew(key, token, lease))
    }

    fn release(&self, key: &Address, token: Token, release: Release) {
        self.tier.release(key, token, release);
    }

    fn publish<'a>(
        &'a self,
        key: &'a Address,
        token: Token,
        entry: Vec<u8>,
        ttl: Duration,
    ) -> RemoteFuture<'a, Published> {
        self.measured(Operation::Publish, self.tier.publish(key, token, entry, ttl))
    }

    fn seize<'a>(
        &'a self,
        key: &'a Address,
        known: &'a [u32],
        token: Token,
        lease: Duration,
    ) -> RemoteFuture<'a, Option<StampValue>> {
        self.measured(Operation::Seize, self.tier.seize(key, known, token, lease))
    }

    #[cfg(feature = "http")]
    fn keep(&self, key: &Address, ttl: Duration) {
        self.tier.keep(key, ttl);
    }

    fn invalidate<'a>(
        &'a self,
        key: &'a Address,
        known: &'a [u32],
        mode: Invalidation,
    ) -> RemoteFuture<'a, Option<StampValue>> {
        self.measured(Operation::Invalidate, self.tier.invalidate(key, known, mode))
    }

    fn restamp<'a>(&'a self, stamps: &'a [StampName]) -> RemoteFuture<'a, ()> {
        self.measured(Operation::Restamp, self.tier.restamp(stamps))
    }

    fn probe(&self) -> RemoteFuture<'_, ()> {
        self.measured(Operation::Probe, self.tier.probe())
    }

    fn now(&self) -> Option<u64> {
        self.tier.now()
    }

    fn is_subscribed(&self) -> bool {
        self.tier.is_subscribed()
    }

    fn runtime(&self) -> &Handle {
        self.tier.runtime()
    }

    fn leases(&self) -> &Leases {
        self.tier.leases()
    }

    fn give_back<'a>(&'a self, key: &'a Address, token: Token) -> RemoteFuture<'a, ()> {
        self.measured(Operation::Release, self.tier.give_back(key, token))
    }

    #[cfg(feature = "inspector")]
    fn ask_fleet(&self, nonce: u64) {
        self.tier.ask_fleet(nonce);
    }

    #[cfg(feature = "inspector")]
    fn answer_fleet(&self, to: u64, nonce: u64, answer: Vec<u8>) {
        self.tier.answer_fleet(to, nonce, answer);
    }

    fn server(&self) -> Option<(String, u16)> {
        self.tier.server()
    }

    fn reconnect(&self, url: &str) -> Result<RemoteFuture<'_, ()>, String> {
        self.tier.reconnect(url)
    }

    fn close(&self) {
        self.tier.close();
    }
}
