//! Storing and invalidating over both tiers.
//!
//! An invalidation acts in this process at once, and once more when the shared tier has been told, or was not: what was
//! read from it meanwhile may be from before. It is noted in the journal first, so that it happens also where telling
//! fails, or where the caller goes away.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use tokio::time::Instant;

use crate::cache::HybridCache;
use crate::cache::fill::Fill;
use crate::cache::lease::{Lease, SENDING};
use crate::coherence::stamps::Stamp;
use crate::entry::Fence;
use crate::entry::plan::Plan;
use crate::entry::value_type::AnyValue;
use crate::error::Error;
use crate::flight::Leader;
use crate::function::call_key::Key;
use crate::shared::Lifespan;
use crate::shared::journal::{Notice, Pending};
use crate::shared::{Invalidation, Published, Remote, RemoteError, StampName, StampValue, Token};
use crate::stats::{Counters, count};

/// A load that gave a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) token: Token,
    pub(crate) took: Duration,
}

/// What became of a value that was put. In each case others no longer have the older one.
enum Put {
    /// With its fence, and the bytes that it takes.
    Stored(Fence, usize),
    /// It stays in this process, and that was counted.
    JournalEntry,
    /// The key was invalidated, or put once more, or the lease was lost: the value is stored nowhere.
    Overtaken,
    /// The shared tier has no room.
    Refused,
}

impl HybridCache {
    /// Invalidates every entry that carries the tag, whatever function it belongs to.
    ///
    /// `tag` is the text as the template gives it with its values put in: `"org:9"`.
    ///
    /// How long it waits, and its cancel safety, are those of [`PlainEntry::invalidate`](crate::PlainEntry::invalidate); one answer of Redis suffices.
    ///
    /// # Errors
    /// When Redis did not acknowledge it: see [`Error::is_pending`].
    pub async fn invalidate_tag(&self, tag: &str) -> Result<(), Error> {
        let stamp = self.tag_stamp(tag);
        self.restamp(&stamp, self.counters(), &format!("invalidate tag `{tag}`")).await
    }

    /// Invalidates every entry of a function, by its name (see [`Self::function_stats`]).
    ///
    /// How long it waits, and its cancel safety, are those of [`PlainEntry::invalidate`](crate::PlainEntry::invalidate); one answer of Redis suffices.
    ///
    /// # Errors
    /// When Redis did not acknowledge it: see [`Error::is_pending`].
    pub async fn invalidate_function(&self, name: &str) -> Result<(), Error> {
        let function = self.function_named(name);
        let counters = function.as_ref().map_or(self.counters(), |function| &function.counters);
        let stamp = self.function_stamp(name);
        self.restamp(&stamp, counters, &format!("invalidate function `{name}`")).await
    }

    /// Invalidates every entry of the namespace, in all processes.
    ///
    /// How long it waits, and its cancel safety, are those of [`PlainEntry::invalidate`](crate::PlainEntry::invalidate); one answer of Redis suffices.
    ///
    /// # Errors
    /// When Redis did not acknowledge it: see [`Error::is_pending`].
    pub async fn clear(&self) -> Result<(), Error> {
        self.restamp(self.namespace_stamp(), self.counters(), "clear the namespace").await
    }

    async fn restamp(&self, stamp: &Arc<Stamp>, counters: &Counters, action: &str) -> Result<(), Error> {
        count(&counters.invalidations);
        self.local().stamps.note(stamp.name.hash);
        stamp.void();
        let Some(remote) = self.remote() else { return Ok(()) };
        self.is_open_for(|| action.to_owned())?;
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
        self.is_open_for(|| format!("invalidate {key}"))?;
        let _once_more = Finally::new(|| local.invalidate(key, mode));
        let pending = local.journal.note(Notice::Entry(key.address().clone(), mode));
        let mode = match pending.notice() {
            Some(Notice::Entry(_, mode)) => *mode,
            _ => mode,
        };
        if mode == Invalidation::Delete {
            local.deleted.note(key.id());
        }
        let told = local.tell_invalidated(&**remote, key.address(), mode).await;
        settle(pending, told, counters, &format!("invalidate {key}"))
    }

    /// Stores a value as if it had just been loaded. Nobody waits for it: whoever calls meanwhile goes its own way, and what
    /// is found there is forgotten when this ends.
    pub(crate) async fn put(&self, key: &Arc<Key>, plan: &Plan, mut value: Box<AnyValue>) -> Result<(), Error> {
        let (local, counters) = (self.local(), &key.function.counters);
        if key.function.fit.is_excluded() {
            // From before it was known: other processes must not go on to read it.
            self.invalidate(key, Invalidation::Delete).await?;
        } else {
            count(&counters.invalidations);
            local.invalidate(key, Invalidation::Delete);
        }
        let mut once_more = Finally::new(|| local.invalidate(key, Invalidation::Delete));
        let seen = self.capture_stamps(key, plan);
        let fill = Fill { key, plan, origin: self.origin(&seen) };
        // Detached by whatever invalidates the key from here on.
        let place = local.flights.reserve(key, seen.clone());
        // Memory must not outlive the envelope, which is made from here on.
        let now = self.clock().now();
        let (mut encoded, mut fence) = (None, None);
        if let Some(remote) = self.remote_for(&key.function, plan) {
            self.is_open_for(|| format!("put {key}"))?;
            let put;
            (put, value) = self.put_remote(remote, &fill, &place, value).await?;
            match put {
                Put::Stored(stored, bytes) => (encoded, fence) = (Some(bytes), Some(stored)),
                Put::JournalEntry => {}
                Put::Overtaken => return Ok(()),
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

    /// Two steps, as those of a load. The first deletes what is stored and takes the lease, whoever had it; the second
    /// publishes under that lease, so that an invalidation in between fences it off, also where it arrives late. A first step
    /// that arrives late deletes, and holds loads up for the rest of its lease.
    async fn put_remote(
        &self,
        remote: &Arc<dyn Remote>,
        fill: &Fill<'_>,
        place: &Leader,
        value: Box<AnyValue>,
    ) -> Result<(Put, Box<AnyValue>), Error> {
        let Fill { key, origin, .. } = *fill;
        let (counters, action) = (&key.function.counters, || format!("put {key}"));
        let failed = |error: &RemoteError| {
            count(&counters.redis_errors);
            error.unstored(&action())
        };
        let (unknown, lifespan) = (origin.seen.unknown(), self.lifespan(fill.plan));
        let until = Instant::now() + lifespan.given;
        let mut lease = Lease::new(remote.clone(), key.clone(), self.next_token());
        // From here on no older value may come back, whatever becomes of this one.
        let pending = self.local().journal.note(Notice::Entry(key.address().clone(), Invalidation::Delete));
        let creating = create(&**remote, &unknown, lifespan);
        let (seized, created) = join(lease.seize(&self.local().stamps), creating).await;
        settle(pending, seized, counters, &action())?;
        origin.seen.learn_created(&unknown, created.map_err(|error| failed(&error))?, until);
        if !place.is_attached() {
            return Ok((Put::Overtaken, value));
        }
        let load = Load { token: lease.token(), took: Duration::ZERO };
        let (bytes, value) = lease.hold_while(SENDING, self.encode(&**remote, fill, value, load)).await;
        let Some(bytes) = bytes else { return Ok((Put::JournalEntry, value)) };
        let encoded = bytes.len();
        let ttl = Duration::from_millis(fill.plan.lifetimes_of(&*value).ttl());
        let put = match lease.publish_at_leisure(bytes, ttl).await.map_err(|error| failed(&error))? {
            Published::Stored => Put::Stored(load.token.to_bytes(), encoded),
            Published::Fenced => Put::Overtaken,
            Published::Refused => Put::Refused,
        };
        Ok((put, value))
    }
}

/// Stamps that do not exist yet.
async fn create(
    remote: &dyn Remote,
    unknown: &[StampName],
    lifespan: Lifespan,
) -> Result<Vec<StampValue>, RemoteError> {
    if unknown.is_empty() { Ok(Vec::new()) } else { remote.create_stamps(unknown, lifespan.given).await }
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
            Err(error.pending(action))
        }
    }
}
