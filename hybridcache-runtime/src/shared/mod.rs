//! The trait of a shared tier. The engine uses this trait and never names Redis.
//!
//! A tier moves bytes and runs the atomic steps of the protocol. The engine decides what the bytes mean (envelope,
//! freshness, stamps) and how long a caller may wait for an answer. No method waits for a reconnection: a tier that is
//! not connected returns [`RemoteError`] at once.

pub(crate) mod breaker;
pub(crate) mod budget;
mod error;
pub(crate) mod journal;
pub(crate) mod leases;
#[cfg(feature = "redis")]
pub(crate) mod redis;
pub(crate) mod wakeups;
pub(crate) mod wire;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use smallvec::SmallVec;
use tokio::runtime::Handle;
use tokio::time::Instant;

pub(crate) use self::error::{RemoteError, RemoteErrorKind};
use crate::primitives::clock::bounded;
use crate::shared::leases::Leases;
use crate::shared::wire::names::Address;
pub(crate) use crate::shared::wire::names::{StampName, Token};

/// The future of a tier's operation.
pub(crate) type RemoteFuture<'a, T> = BoxFuture<'a, Result<T, RemoteError>>;

/// How many bytes of an entry are enough to tell it from another entry: fence and mark, see
/// [`crate::shared::wire::envelope`].
pub(crate) const HEAD: usize = 40;

/// The lifetime of a lease that is not renewed: how long other processes wait for a load whose process died.
pub(crate) const LEASE: Duration = Duration::from_secs(3);

/// How long a stamp must live in the shared tier, and the lifetime that it gets if it might end sooner. A stamp that
/// ends too soon makes every entry that carries it a miss.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifespan {
    pub(crate) needed: Duration,
    pub(crate) given: Duration,
}

/// The least time between two prolongations of a stamp.
const LEAST: Duration = Duration::from_secs(10);

impl Lifespan {
    /// The lifespan for an entry that lives for `ttl` from the end of a load, where the load may take as long as
    /// `load`.
    pub(crate) fn of(ttl: Duration, load: Duration) -> Self {
        let needed = bounded(ttl).saturating_add(bounded(load));
        Self { needed, given: needed.saturating_add(bounded(ttl).max(LEAST)) }
    }

    /// The lifespan of a stamp that no entry carries yet. A load that will publish an entry prolongs it first.
    pub(crate) fn unused() -> Self {
        Self::of(Duration::ZERO, Duration::ZERO)
    }
}
/// Entries of at least this size are large: they travel on connections of their own, so that no small answer waits for
/// their bytes (64 KiB take half a millisecond at 1 Gbit/s).
pub(crate) const LARGE: usize = 64 << 10;

/// A tier that all processes share.
pub(crate) trait Remote: Send + Sync + 'static {
    /// Reads the entry's bytes, and the current value of each of `stamps`. Of a [`LARGE`] entry it reads only the first
    /// [`LARGE`] bytes.
    fn fetch<'a>(&'a self, key: &'a Address, stamps: &'a [StampName]) -> RemoteFuture<'a, Fetched>;

    /// Reads a whole entry that is expected to have `bytes` bytes. Also reads a small entry.
    fn fetch_large<'a>(&'a self, key: &'a Address, stamps: &'a [StampName], bytes: usize) -> RemoteFuture<'a, Fetched>;

    /// Reads only the first [`HEAD`] bytes, which tell entries apart, and the stamps.
    fn fetch_head<'a>(&'a self, key: &'a Address, stamps: &'a [StampName]) -> RemoteFuture<'a, Fetched>;

    /// Makes sure that the stamps exist, name the version that uses them, and live at least for `lifetime`. When a
    /// function's stamp is created, every process is notified ([`Listener::renumbered`]).
    fn create_stamps<'a>(&'a self, stamps: &'a [StampName], lifetime: Duration) -> RemoteFuture<'a, Vec<StampValue>>;

    /// Prolongs stamps that exist, so that they live at least for `lifetime`. Does not wait for the answer.
    fn prolong_stamps(&self, stamps: &[StampName], lifetime: Duration);

    /// Takes the lease of a key if it is free, and then reads the first `bytes` bytes of the entry, in one round trip.
    /// As long as the lease is held, no other process publishes: the entry that was read stays, or is invalidated.
    ///
    /// If the lease is not granted, [`Self::acquire`] comes next: a mark may be in its place.
    fn take<'a>(&'a self, key: &'a Address, token: Token, lease: Duration, bytes: usize) -> RemoteFuture<'a, Taken>;

    /// Takes the lease of a key, or says why it is not granted, and registers this process for the wake-up.
    ///
    /// `seen` is bytes 16 to 31 of the entry that the caller read, or empty if there was no entry.
    fn acquire<'a>(
        &'a self,
        key: &'a Address,
        token: Token,
        lease: Duration,
        seen: &'a [u8],
    ) -> RemoteFuture<'a, Acquired>;

    /// Prolongs a lease. Returns `false` if the lease is lost.
    fn renew<'a>(&'a self, key: &'a Address, token: Token, lease: Duration) -> RemoteFuture<'a, bool>;

    /// Gives a lease back and wakes its waiters. The command is sent behind all earlier commands on the same
    /// connection. Does not wait for the answer.
    fn release(&self, key: &Address, token: Token, release: Release);

    /// Stores an entry if the lease is still held, ends the lease, and wakes its waiters.
    fn publish<'a>(
        &'a self,
        key: &'a Address,
        token: Token,
        entry: Vec<u8>,
        ttl: Duration,
    ) -> RemoteFuture<'a, Published>;

    /// The first step of a put: deletes as [`Self::invalidate`] does, and takes the lease, whoever held it. The second
    /// step is [`Self::publish`].
    fn seize<'a>(
        &'a self,
        key: &'a Address,
        known: &'a [u32],
        token: Token,
        lease: Duration,
    ) -> RemoteFuture<'a, Option<StampValue>>;

    /// Keeps the entry at the key for at least `ttl` from now. Does not wait for the answer, and the command may arrive
    /// late: the entry itself says until when it may be used, so it is never used for longer.
    #[cfg(feature = "http")]
    fn keep(&self, key: &Address, ttl: Duration);

    /// Deletes the entries or marks them stale, ends the lease of a running load, and notifies every process. Covers
    /// all versions of the function that its stamp names. Takes one round trip if all of them are in `known`.
    ///
    /// Returns the function's stamp, which is created if it was absent; `None` if the tier has no room for it. In both
    /// cases, everything that this process knows under another number is void: an invalidation by another process may
    /// not reach it.
    fn invalidate<'a>(
        &'a self,
        key: &'a Address,
        known: &'a [u32],
        mode: Invalidation,
    ) -> RemoteFuture<'a, Option<StampValue>>;

    /// Removes each stamp, which voids all entries that carry it, and notifies every process.
    fn restamp<'a>(&'a self, stamps: &'a [StampName]) -> RemoteFuture<'a, ()>;

    /// Requests an answer that costs the tier nothing.
    fn probe(&self) -> RemoteFuture<'_, ()>;

    /// The tier's clock, if it was ever read: Unix milliseconds now.
    fn now(&self) -> Option<u64>;

    /// Whether wake-up messages can arrive at present.
    fn is_subscribed(&self) -> bool;

    /// Asks all processes what they say of themselves. Does not wait for the answers ([`Listener::answered`]).
    #[cfg(feature = "inspector")]
    fn ask_fleet(&self, nonce: u64);

    /// Answers such a question of another process.
    #[cfg(feature = "inspector")]
    fn answer_fleet(&self, to: u64, nonce: u64, answer: Vec<u8>);

    /// The name and the port of the server, where there is one.
    fn server(&self) -> Option<(String, u16)>;

    /// The runtime for tasks that must go on whether or not a caller's runtime runs.
    fn runtime(&self) -> &Handle;

    /// The leases of this process.
    fn leases(&self) -> &Leases;

    /// Gives back a lease whose load has not ended, and waits for the answer.
    fn give_back<'a>(&'a self, key: &'a Address, token: Token) -> RemoteFuture<'a, ()>;

    /// Replaces the present connections by new ones to `url`, and waits at most a second for the first attempt.
    ///
    /// # Errors
    /// If the URL is not usable. Nothing has changed then.
    fn reconnect(&self, url: &str) -> Result<RemoteFuture<'_, ()>, String>;

    /// Ends all connections and opens no others.
    fn close(&self);
}

/// The events that a tier reports to the engine between calls. Called from the tier's own task: must not block.
pub(crate) trait Listener: Send + Sync + 'static {
    /// A process's load of the key ended.
    fn woken(&self, key_id: u64, wake: Wake);
    /// A process invalidated the key.
    fn invalidated(&self, key_id: u64, mode: Invalidation, origin: u64);
    /// A process restamped.
    fn restamped(&self, stamp: u64, origin: u64);
    /// A stamp was absent. It has this number now, or none. Possibly this process created it.
    fn renumbered(&self, stamp: u64, number: u64);
    /// A new stream of messages began: messages that were sent in between are lost. Called before any caller can use
    /// the new connection.
    ///
    /// `kept`: the tier still has everything that it had acknowledged, because the same servers answer as before.
    /// (Otherwise a replica that lagged may have taken over, or an older copy of the data was loaded.)
    fn resubscribed(&self, kept: bool);
    /// Every message that was sent before this moment has arrived.
    fn proven(&self, until: Instant);
    /// A process asks what this one says of itself.
    #[cfg(feature = "inspector")]
    fn asked(&self, _from: u64, _nonce: u64) {}
    /// A process has answered a question of this one.
    #[cfg(feature = "inspector")]
    fn answered(&self, _nonce: u64, _answer: &[u8]) {}
    /// The tier has a warning; `is_due`: it is logged as one, and not at debug level.
    fn warned(&self, is_due: bool, kind: &'static str, what: &str, reason: &str);
    /// No message can arrive any more: a flight that waits for one must read the tier itself.
    fn disconnected(&self);
}

/// The listener to which a tier reports.
pub(crate) type Listeners = Arc<dyn Listener>;

/// The answer to [`Remote::fetch`].
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The bytes at the key; empty if the key holds a type other than a string.
    pub(crate) entry: Option<Vec<u8>>,
    /// One item for each requested stamp, in order; `None` if the stamp is absent.
    pub(crate) stamps: Vec<Option<StampValue>>,
}

/// Versions of a function.
pub(crate) type Versions = SmallVec<[u32; 4]>;

/// A stamp as the tier stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StampValue {
    pub(crate) number: u64,
    /// For a function's stamp: the versions that use it.
    pub(crate) versions: Versions,
}

impl From<u64> for StampValue {
    fn from(number: u64) -> Self {
        Self { number, versions: Versions::new() }
    }
}

/// The answer to [`Remote::take`].
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) is_granted: bool,
    /// The first bytes at the key, as they were read after the lease was taken. As in [`Fetched`].
    pub(crate) entry: Option<Vec<u8>>,
}

/// The answer to [`Remote::acquire`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acquired {
    /// The lease is ours.
    Granted,
    /// Another load holds the lease, which ends after this time unless it is renewed. This process is registered for
    /// the wake-up.
    Held(Duration),
    /// Another load holds the lease, and the load before it stored nothing: waiting for this one is not worthwhile.
    HeldInVain,
    /// The entry is not the one that the caller saw: read again.
    Changed,
}

/// The answer to [`Remote::publish`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    /// Stored.
    Stored,
    /// The lease was lost: another process invalidated the key or took the lease. Nothing was changed.
    Fenced,
    /// The tier could not store the entry (because it is full, for example). An older value may remain.
    Refused,
}

/// Why a lease is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// No load has ended under the lease.
    NotLoaded,
    /// A load has ended, and it stored nothing that other processes could read: their waiters need not wait for the
    /// next load.
    NothingStored,
}

/// How an entry is invalidated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invalidation {
    /// The entry is removed at once.
    Delete,
    /// The entry is kept, but stale at once.
    Expire,
}

/// Why a waiter was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// There is a new entry to read.
    Published,
    /// The lease is free.
    Released,
    /// A load has ended and stored nothing.
    NothingStored,
}
