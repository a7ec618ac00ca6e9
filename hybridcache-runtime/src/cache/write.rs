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
use crate::coherence::stamps::{Stamp, StampSnapshot};
use crate::entry::plan::Plan;
use crate::entry::value_type::AnyValue;
use crate::entry::{Fence, FilledUnder};
use crate::error::Error;
use crate::function::call_key::Key;
use crate::shared::Lifespan;
use crate::shared::journal::{Notice, Pending};
use crate::shared::{Invalidation, Published, Remote, RemoteError, RemoteErrorKind, Token};
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
    MemoryOnly,
    /// Somebody has the lease since, or had: the key was invalidated, or put once more. The value is stored nowhere.
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
    /// is found there is forgotten when this ends. Of several puts of one key that this process makes at the same time, at least one
    /// is stored: the lease decides in the shared tier, and in memory the latest.
    pub(crate) async fn put(&self, key: &Arc<Key>, plan: &Plan, mut value: Box<AnyValue>) -> Result<(), Error> {
        let (local, counters) = (self.local(), &key.function.counters);
        let putting = local.puts.begin(key.id());
        if key.function.fit.is_excluded() {
            // From before it was known: other processes must not go on to read it.
            self.invalidate(key, Invalidation::Delete).await?;
        } else {
            count(&counters.invalidations);
            local.invalidate(key, Invalidation::Delete);
        }
        let forget = || local.invalidate(key, Invalidation::Delete);
        // A later put forgets whatever came before it, and has its value in memory, or soon.
        let mut once_more = Finally::new(|| {
            if putting.is_latest() {
                forget()
            }
        });
        let mut seen = self.capture_stamps(key, plan);
        let FilledUnder { epoch, began, .. } = self.origin(&seen);
        // Detached by whatever invalidates the key from here on.
        let place = local.flights.reserve(key, seen.clone());
        // Memory must not outlive the envelope, which is made from here on.
        let now = self.clock().now();
        let (mut encoded, mut fence) = (None, None);
        if let Some(remote) = self.remote_for(&key.function, plan) {
            self.is_open_for(|| format!("put {key}"))?;
            let (lease, put);
            (lease, seen) = self.seize(remote, key, plan, seen).await?;
            let fill = Fill { key, plan, origin: FilledUnder { seen: &seen, epoch, began } };
            (put, value) = self.publish_put(&**remote, lease, &fill, value).await?;
            match put {
                Put::Stored(stored, bytes) => (encoded, fence) = (Some(bytes), Some(stored)),
                Put::MemoryOnly => {}
                Put::Overtaken => return Ok(()),
                Put::Refused => {
                    count(&counters.redis_errors);
                    return Err(Error::refused(&format!("put {key}")));
                }
            }
        }
        let fill = Fill { key, plan, origin: FilledUnder { seen: &seen, epoch, began } };
        if let Some(entry) = fill.entry(now, value, encoded, fence) {
            once_more.due = !place.replace(|| local.memory.insert(entry));
            if once_more.due && fence.is_some() {
                // Also what a later put has in memory: the shared tier took this one after it.
                forget();
            }
        }
        Ok(())
    }

    /// The first of two steps, which are those of a load. It deletes what is stored and takes the lease, whoever had it. The second
    /// publishes under that lease, so that an invalidation in between fences it off, also where it arrives late. A first step
    /// that arrives late deletes, and holds loads up for the rest of its lease.
    ///
    /// Returns the stamps to publish under.
    async fn seize(
        &self,
        remote: &Arc<dyn Remote>,
        key: &Arc<Key>,
        plan: &Plan,
        mut seen: StampSnapshot,
    ) -> Result<(Lease, StampSnapshot), Error> {
        let (counters, action, lifespan) = (&key.function.counters, format!("put {key}"), self.lifespan(plan));
        let mut lease = Lease::new(remote.clone(), key.clone(), self.next_token());
        // From here on no older value may come back, whatever becomes of this one.
        let pending = self.local().journal.note(Notice::Entry(key.address().clone(), Invalidation::Delete));
        let creating = create(&**remote, &seen, lifespan);
        let (seized, created) = join(lease.seize(&self.local().stamps), creating).await;
        settle(pending, seized, counters, &action)?;
        let unstored = |error: RemoteError| {
            count(&counters.redis_errors);
            error.unstored(&action)
        };
        created.map_err(unstored)?;
        if seen.remote().is_none() || !seen.is_current() {
            // A stamp was voided, or the first step has found another number: under the older one nobody would find the value.
            seen = self.capture_stamps(key, plan);
            create(&**remote, &seen, lifespan).await.map_err(unstored)?;
        }
        seen.prolong(lifespan, &**remote);
        Ok((lease, seen))
    }

    /// The second step.
    async fn publish_put(
        &self,
        remote: &dyn Remote,
        lease: Lease,
        fill: &Fill<'_>,
        value: Box<AnyValue>,
    ) -> Result<(Put, Box<AnyValue>), Error> {
        let load = Load { token: lease.token(), took: Duration::ZERO };
        let (bytes, value) = lease.hold_while(SENDING, self.encode(remote, fill, value, load)).await;
        let Some(bytes) = bytes else { return Ok((Put::MemoryOnly, value)) };
        let encoded = bytes.len();
        let ttl = Duration::from_millis(fill.plan.lifetimes_of(&*value).ttl());
        let published = lease.publish_at_leisure(bytes, ttl).await.map_err(|error| {
            count(&fill.key.function.counters.redis_errors);
            error.unstored(&format!("put {}", fill.key))
        })?;
        let put = match published {
            Published::Stored => Put::Stored(load.token.to_bytes(), encoded),
            Published::Fenced => Put::Overtaken,
            Published::Refused => Put::Refused,
        };
        Ok((put, value))
    }
}

/// Creates the stamps that are not known, for as long as a value that carries them lives.
async fn create(remote: &dyn Remote, seen: &StampSnapshot, lifespan: Lifespan) -> Result<(), RemoteError> {
    let (unknown, until) = (seen.unknown(), Instant::now() + lifespan.given);
    if !unknown.is_empty() {
        seen.learn_created(&unknown, remote.create_stamps(&unknown, lifespan.given).await?, until);
    }
    Ok(())
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
            if error.kind == RemoteErrorKind::PartDown {
                pending.leave();
            }
            count(&counters.redis_errors);
            Err(error.pending(action))
        }
    }
}
