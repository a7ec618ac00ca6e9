//! The trait of a shared tier. The engine speaks to it and never names Redis.
//!
//! A tier moves bytes and runs the protocol's atomic steps; what the bytes mean (envelope, freshness, stamps) and how long
//! a caller may wait for an answer are the engine's business. No method waits for a reconnection: a tier that is not
//! connected answers [`RemoteError`] at once.

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

/// What a tier's operation returns.
pub(crate) type RemoteFuture<'a, T> = BoxFuture<'a, Result<T, RemoteError>>;

/// How many bytes of an entry are enough to tell it from another: fence and mark, see [`crate::shared::wire::envelope`].
pub(crate) const HEAD: usize = 40;

/// A lease lives this long unless renewed: how long the fleet waits for a load whose process died.
pub(crate) const LEASE: Duration = Duration::from_secs(3);

/// How long a stamp must live in the shared tier, and how long it is given where it may not. One that ends too soon is a
/// miss for all that carries it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifespan {
    pub(crate) needed: Duration,
    pub(crate) given: Duration,
}

/// A stamp is not prolonged more often than this.
const LEAST: Duration = Duration::from_secs(10);

impl Lifespan {
    /// For what lives as long as `ttl` from the end of a load that may take as long as `load`.
    pub(crate) fn of(ttl: Duration, load: Duration) -> Self {
        let needed = bounded(ttl).saturating_add(bounded(load));
        Self { needed, given: needed.saturating_add(bounded(ttl).max(LEAST)) }
    }

    /// For a stamp that nothing carries yet. Whatever will carry it prolongs it first.
    pub(crate) fn unused() -> Self {
        Self::of(Duration::ZERO, Duration::ZERO)
    }
}
/// Entries of this size and more are large: they travel on connections of their own, so that no small answer waits for their
/// bytes (64 KiB take half a millisecond at 1 Gbit/s).
pub(crate) const LARGE: usize = 64 << 10;

/// A tier that all processes share.
pub(crate) trait Remote: Send + Sync + 'static {
    /// Reads the entry's bytes, and beside them the current value of each of `stamps`. Of a [`LARGE`] entry only the first
    /// [`LARGE`] bytes.
    fn fetch<'a>(&'a self, key: &'a Address, stamps: &'a [StampName]) -> RemoteFuture<'a, Fetched>;

    /// Reads the whole of an entry that is likely to have so many bytes; small ones too.
    fn fetch_large<'a>(&'a self, key: &'a Address, stamps: &'a [StampName], bytes: usize) -> RemoteFuture<'a, Fetched>;

    /// Reads only what tells entries apart, the first [`HEAD`] bytes, and beside them the stamps.
    fn fetch_head<'a>(&'a self, key: &'a Address, stamps: &'a [StampName]) -> RemoteFuture<'a, Fetched>;

    /// Makes sure that stamps exist, name the version that uses them, and live at least for this time. A function's stamp
    /// that is created is announced to every process ([`Listener::renumbered`]).
    fn create_stamps<'a>(&'a self, stamps: &'a [StampName], lifetime: Duration) -> RemoteFuture<'a, Vec<StampValue>>;

    /// Lets stamps that exist live at least for this time. Nobody waits for the answer.
    fn prolong_stamps(&self, stamps: &[StampName], lifetime: Duration);

    /// Takes the lease of a key, or tells who is in the way.
    ///
    /// `seen` are the bytes 16 to 31 of what the caller read at the key, empty where there was nothing.
    fn acquire<'a>(
        &'a self,
        key: &'a Address,
        token: Token,
        lease: Duration,
        seen: &'a [u8],
    ) -> RemoteFuture<'a, Acquired>;

    /// Reads the entry's bytes (as [`Self::fetch`]) and takes the lease, in one round trip. The lease is as for one who has read nothing: where
    /// there is an entry, the answer is [`Acquired::Changed`], unless it went in between.
    fn fetch_and_acquire<'a>(
        &'a self,
        key: &'a Address,
        token: Token,
        lease: Duration,
    ) -> RemoteFuture<'a, (Option<Vec<u8>>, Acquired)>;

    /// Prolongs a lease; `false`: it is lost.
    fn renew<'a>(&'a self, key: &'a Address, token: Token, lease: Duration) -> RemoteFuture<'a, bool>;

    /// Gives a lease back and wakes who waits for it. Sent behind whatever was sent before on the same connection;
    /// nobody waits for the answer.
    fn release(&self, key: &Address, token: Token, release: Release);

    /// Stores an entry if the lease is still held, ends the lease, wakes who waits.
    fn publish<'a>(
        &'a self,
        key: &'a Address,
        token: Token,
        entry: Vec<u8>,
        ttl: Duration,
    ) -> RemoteFuture<'a, Published>;

    /// The first step of a put: as [`Self::invalidate`] to delete, and the lease is ours, whoever had it. The second is
    /// [`Self::publish`].
    fn seize<'a>(
        &'a self,
        key: &'a Address,
        known: &'a [u32],
        token: Token,
        lease: Duration,
    ) -> RemoteFuture<'a, Option<StampValue>>;

    /// Keeps what is at the key for at least this long from now. Nobody waits for it, and it may come late: an entry says itself until
    /// when it may be used, so that it is never used for longer.
    #[cfg(feature = "http")]
    fn keep(&self, key: &Address, ttl: Duration);

    /// Deletes or marks stale, ends a running load's lease, tells every process: in all versions of the function that its
    /// stamp names. Takes one round trip where they are all `known`.
    ///
    /// Returns the function's stamp, which is created where it was absent; `None` where the tier has no room for it. In each case what
    /// this process knows under another number is void: an invalidation by another process may not reach it.
    fn invalidate<'a>(
        &'a self,
        key: &'a Address,
        known: &'a [u32],
        mode: Invalidation,
    ) -> RemoteFuture<'a, Option<StampValue>>;

    /// Removes each stamp, which voids all that carries it, and tells every process.
    fn restamp<'a>(&'a self, stamps: &'a [StampName]) -> RemoteFuture<'a, ()>;

    /// Asks the tier for an answer that costs it nothing.
    fn probe(&self) -> RemoteFuture<'_, ()>;

    /// The tier's clock, where it was ever heard: Unix milliseconds now.
    fn now(&self) -> Option<u64>;

    /// Whether wake-up messages can arrive at present.
    fn is_subscribed(&self) -> bool;

    /// Where tasks go on whether or not a caller's runtime runs.
    fn runtime(&self) -> &Handle;

    /// Those of this process.
    fn leases(&self) -> &Leases;

    /// Gives a lease back whose load has not ended, and waits for the answer.
    fn give_back<'a>(&'a self, key: &'a Address, token: Token) -> RemoteFuture<'a, ()>;

    /// Takes new connections to `url` in place of the present ones, and waits at most a second for the first attempt.
    ///
    /// # Errors
    /// Where the URL is of no use: nothing has changed then.
    fn reconnect(&self, url: &str) -> Result<RemoteFuture<'_, ()>, String>;

    /// Ends all connections. From then on there are none.
    fn close(&self);
}

/// What a tier tells the engine between calls. Called from the tier's own task: must not block.
pub(crate) trait Listener: Send + Sync + 'static {
    /// Somebody's load of the key ended.
    fn woken(&self, key_id: u64, wake: Wake);
    /// Somebody invalidated the key.
    fn invalidated(&self, key_id: u64, mode: Invalidation, origin: u64);
    /// Somebody restamped.
    fn restamped(&self, stamp: u64, origin: u64);
    /// A stamp was absent, and has this number now, if any. This process may have created it.
    fn renumbered(&self, stamp: u64, number: u64);
    /// The stream of messages began anew: what was sent meanwhile is lost. Called before anybody can use the new
    /// connection.
    ///
    /// `kept`: whatever the tier had acknowledged it still has, as the same servers answer that answered before. (Else a
    /// replica that lagged may have taken over, or an older copy of the data was loaded.)
    fn resubscribed(&self, kept: bool);
    /// Every message that was sent before this moment has arrived.
    fn proven(&self, until: Instant);
    /// No message can arrive any more: who waits for one must look for itself.
    fn disconnected(&self);
}

/// Where a tier reports to.
pub(crate) type Listeners = Arc<dyn Listener>;

/// What [`Remote::fetch`] found.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The bytes at the key; empty where something is there that is no string.
    pub(crate) entry: Option<Vec<u8>>,
    /// One for each stamp asked for, in order; `None` where it is absent.
    pub(crate) stamps: Vec<Option<StampValue>>,
}

/// Versions of a function.
pub(crate) type Versions = SmallVec<[u32; 4]>;

/// A stamp as the tier has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StampValue {
    pub(crate) number: u64,
    /// Of a function's: the versions that use it.
    pub(crate) versions: Versions,
}

impl From<u64> for StampValue {
    fn from(number: u64) -> Self {
        Self { number, versions: Versions::new() }
    }
}

/// The answer to [`Remote::acquire`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acquired {
    /// The lease is ours.
    Granted,
    /// Somebody loads; the lease ends after this time unless renewed. We are registered for the wake-up.
    Held(Duration),
    /// Somebody loads, and the load before that stored nothing: this one is not worth waiting for.
    HeldInVain,
    /// The entry is not the one that was seen: read again.
    Changed,
}

/// The answer to [`Remote::publish`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    /// Stored.
    Stored,
    /// The lease was lost: somebody invalidated or took over. Nothing was changed.
    Fenced,
    /// The tier could not take it (it is full, say). An older value may be left.
    Refused,
}

/// Why a lease is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// No load has ended under it.
    NotLoaded,
    /// A load has, and there is nothing that the tier could give to others: they need not wait for the next one.
    NothingStored,
}

/// How an entry is invalidated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invalidation {
    /// Gone at once.
    Delete,
    /// Kept, but stale at once.
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
