//! Storing and invalidating over both tiers.
//!
//! An invalidation acts in this process at once, and once more when the shared tier has been told, or was not: what was
//! read from it meanwhile may be from before. It is noted in the journal first, so that it happens also where telling
//! fails, or where the caller goes away.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::HybridCache;
use crate::call_key::Key;
use crate::codec::Kind;
use crate::envelope::{self, Header, MESSAGE_PACK, UNCOMPRESSED};
use crate::error::Error;
use crate::journal::{Notice, Pending};
use crate::reading::Fill;
use crate::remote::{Invalidation, Published, Remote, RemoteError, Token};
use crate::settings::Plan;
use crate::stamps::Stamp;
use crate::stats::{Counters, count};
use crate::value::AnyValue;

/// A load that gave a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) token: Token,
    pub(crate) took: Duration,
}

/// What became of a value that was put. In each case others no longer have the older one.
enum Put {
    /// With the bytes that it takes.
    Stored(usize),
    /// It stays in this process, and that was counted.
    Unsent,
    /// The shared tier has no room.
    Refused,
}

impl HybridCache {
    /// Invalidates every entry that carries the tag, whatever function it belongs to.
    ///
    /// `tag` is the text as the template gives it with its values put in: `"org:9"`.
    ///
    /// # Errors
    /// When the shared tier could not be told: see [`Error::is_pending`].
    pub async fn invalidate_tag(&self, tag: &str) -> Result<(), Error> {
        let stamp = self.tag_stamp(tag);
        self.restamp(&stamp, self.counters(), &format!("invalidate tag `{tag}`")).await
    }

    /// Invalidates every entry of a function, by its name (see [`Self::function_stats`]).
    ///
    /// # Errors
    /// When the shared tier could not be told: see [`Error::is_pending`].
    pub async fn invalidate_function(&self, name: &str) -> Result<(), Error> {
        let function = self.function_named(name);
        let counters = function.as_ref().map_or(self.counters(), |function| &function.counters);
        let stamp = self.function_stamp(name);
        self.restamp(&stamp, counters, &format!("invalidate function `{name}`")).await
    }

    /// Invalidates every entry of the namespace, in all processes.
    ///
    /// # Errors
    /// When the shared tier could not be told: see [`Error::is_pending`].
    pub async fn clear(&self) -> Result<(), Error> {
        self.restamp(self.namespace_stamp(), self.counters(), "clear the namespace").await
    }

    async fn restamp(&self, stamp: &Arc<Stamp>, counters: &Counters, action: &str) -> Result<(), Error> {
        count(&counters.invalidations);
        self.local().stamps.note(stamp.name.hash);
        stamp.void();
        let Some(remote) = self.remote() else { return Ok(()) };
        let _once_more = Finally::new(|| stamp.void());
        let pending = self.local().journal.note(Notice::Group(stamp.name.clone()));
        let told = remote.restamp(std::slice::from_ref(&stamp.name)).await;
        settle(pending, told, counters, action)
    }

    pub(crate) async fn invalidate(&self, key: &Arc<Key>, mode: Invalidation) -> Result<(), Error> {
        let (local, counters) = (self.local(), &key.function.counters);
        count(&counters.invalidations);
        local.invalidate(key, mode);
        let Some(remote) = self.remote().filter(|_| key.function.is_unambiguous()) else { return Ok(()) };
        let _once_more = Finally::new(|| local.invalidate(key, mode));
        let pending = local.journal.note(Notice::Entry(key.address().clone(), mode));
        let mode = match pending.notice() {
            Some(Notice::Entry(_, mode)) => *mode,
            _ => mode,
        };
        if mode == Invalidation::Delete {
            local.deleted.note(key.id());
        }
        let told = remote.invalidate(key.address(), mode).await;
        settle(pending, told, counters, &format!("invalidate {key}"))
    }

    /// Stores a value as if it had just been loaded. Nobody waits for it: whoever calls meanwhile goes its own way, and what
    /// is found there is forgotten when this ends.
    pub(crate) async fn put(&self, key: &Arc<Key>, plan: &Plan, value: Box<AnyValue>) -> Result<(), Error> {
        let (local, counters) = (self.local(), &key.function.counters);
        count(&counters.invalidations);
        local.invalidate(key, Invalidation::Delete);
        let mut once_more = Finally::new(|| local.invalidate(key, Invalidation::Delete));
        let seen = self.seen(key, plan);
        let fill = Fill { key, plan, origin: self.origin(&seen) };
        // Detached by whatever invalidates the key from here on.
        let place = local.flights.reserve(key, seen.clone());
        // Memory must not outlive the envelope, which is made from here on.
        let now = self.clock().now();
        let token = self.next_token();
        let (mut encoded, mut fence) = (None, None);
        if let Some(remote) = self.remote_for(&key.function, plan) {
            // Should the value be lost, no older one may come back.
            let pending = local.journal.note(Notice::Entry(key.address().clone(), Invalidation::Delete));
            let told = self.put_remote(&**remote, &fill, token, &*value).await;
            match settle(pending, told, counters, &format!("put {key}"))? {
                Put::Stored(bytes) => (encoded, fence) = (Some(bytes), Some(token.to_bytes())),
                Put::Unsent => {}
                Put::Refused => {
                    count(&counters.redis_errors);
                    return Err(Error::refused(&format!("put {key}")));
                }
            }
        }
        if let Some(entry) = fill.entry(now, value, encoded, fence) {
            once_more.due = !place.replace(|| local.memory.insert(entry));
        }
        Ok(())
    }

    async fn put_remote(
        &self,
        remote: &dyn Remote,
        fill: &Fill<'_>,
        token: Token,
        value: &AnyValue,
    ) -> Result<Put, RemoteError> {
        let seen = fill.origin.seen;
        let unknown = seen.unknown();
        if !unknown.is_empty() {
            seen.learn(&unknown, remote.create_stamps(&unknown).await?.into_iter().map(Some));
        }
        let Some(bytes) = self.encode(remote, fill, value, Load { token, took: Duration::ZERO }) else {
            // It stays in this process; others must not keep the older one.
            return remote.invalidate(fill.key.address(), Invalidation::Delete).await.map(|()| Put::Unsent);
        };
        let encoded = bytes.len();
        let ttl = Duration::from_millis(fill.plan.lifetimes_of(value).ttl());
        match remote.put(fill.key.address(), token, bytes, ttl).await? {
            Published::Stored | Published::Fenced => Ok(Put::Stored(encoded)),
            Published::Refused => Ok(Put::Refused),
        }
    }

    /// The envelope of a value that was loaded just now. `None`: it stays in memory; that it is too large, or cannot be
    /// encoded, was counted.
    pub(crate) fn encode(&self, remote: &dyn Remote, fill: &Fill<'_>, value: &AnyValue, load: Load) -> Option<Vec<u8>> {
        let now = remote.now()?;
        let lifetimes = fill.plan.lifetimes_of(value);
        let header = Header {
            expired_by_hand: false,
            codec: MESSAGE_PACK,
            compression: UNCOMPRESSED,
            kind: Kind::Value,
            flags: 0,
            cost_ms: u32::try_from(load.took.as_millis()).unwrap_or(u32::MAX),
            fence: load.token.to_bytes(),
            loaded_at: now.saturating_sub(load.took.as_millis() as u64),
            fresh_until: now + lifetimes.fresh_for(),
            expires_at: now + lifetimes.ttl(),
            key: fill.key.fingerprint(),
            stamps: fill.origin.seen.remote()?,
        };
        let bytes = envelope::encode_with(&header, |bytes| fill.plan.value.encode(value, bytes)).ok();
        let sendable = bytes.filter(|bytes| bytes.len() <= self.limits().value_limit);
        if sendable.is_none() {
            count(&fill.key.function.counters.unsendable);
        }
        sendable
    }
}

/// What was read from the shared tier while it was being told may be from before. That is forgotten last: when it has been
/// told, or the breaker is open, so that nothing from before can be read any more; also where the caller goes away.
struct Finally<F: Fn()> {
    act: F,
    due: bool,
}

impl<F: Fn()> Finally<F> {
    fn new(act: F) -> Self {
        Self { act, due: true }
    }
}

impl<F: Fn()> Drop for Finally<F> {
    fn drop(&mut self) {
        if self.due {
            (self.act)();
        }
    }
}

fn settle<T>(pending: Pending, told: Result<T, RemoteError>, counters: &Counters, action: &str) -> Result<T, Error> {
    match told {
        Ok(answer) => {
            pending.acknowledge();
            Ok(answer)
        }
        Err(error) => {
            count(&counters.redis_errors);
            Err(Error::pending(action, &error))
        }
    }
}
